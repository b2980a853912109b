/** scripts/build_push.sh with a `docker` that writes down how it was called. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';

const root = new URL('../../', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'build-push-'));
const calls = join(folder, 'calls');

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('build_push.sh', () => {
  it('builds both services for both platforms, pushes them, and prints how to put them into the manifests', () => {
    login('{ "auths": { "https://index.docker.io/v1/": {} } }');
    fakeDocker();
    const { status, stdout, stderr } = run({ DOCKERHUB_USER: 'ada', TAG: 'v1' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });

    const builds = readFileSync(calls, 'utf8')
      .split('\n')
      .filter((call) => call.startsWith('buildx build '));
    expect(builds).toHaveLength(2);
    for (const build of builds) {
      expect(build).toMatch(/--platform linux\/amd64,linux\/arm64 --file services\/Dockerfile .* --push$/);
    }
    const images = ['ada/task-service:v1', 'ada/user-service:v1'];
    expect(builds.map((build) => /--build-arg SERVICE=(\S+)/.exec(build)?.[1])).toEqual([
      'task-service',
      'user-service',
    ]);
    expect(builds.map((build) => /--tag (\S+)/.exec(build)?.[1])).toEqual(images);

    const copy = join(folder, 'copy');
    cpSync(join(root, 'kubernetes'), join(copy, 'kubernetes'), { recursive: true });
    const commands = stdout.split('\n').filter((line) => line.startsWith('  sed '));
    execFileSync('sh', ['-ec', commands.join('\n')], { cwd: copy });
    const manifest = (service: string) => readFileSync(join(copy, 'kubernetes', `${service}.yaml`), 'utf8');
    expect([imageIn(manifest('task-service')), imageIn(manifest('user-service'))]).toEqual(images);
  });

  it.each([
    [
      'a missing user',
      { TAG: 'v1' },
      /^DOCKERHUB_USER is missing: DOCKERHUB_USER=<you> TAG=v1 scripts\/build_push\.sh\n$/,
    ],
    ['a missing tag', { DOCKERHUB_USER: 'ada' }, /^TAG is missing: .+\n$/],
    ['an impossible user', { DOCKERHUB_USER: 'Ada/x', TAG: 'v1' }, /^DOCKERHUB_USER "Ada\/x" is no name .+\n$/],
    ['an impossible tag', { DOCKERHUB_USER: 'ada', TAG: 'v|1' }, /^TAG "v\|1" is no tag.+\n$/],
  ])('says in one line that there is %s', (_what, variables, line) => {
    expect(refusal(variables)).toMatch(line);
  });

  it.each([
    ['docker is missing', undefined, /^docker is missing.+\n$/],
    ['docker has no buildx', 'case $1 in buildx) exit 1 ;; esac', /^docker buildx is missing.+\n$/],
    ['docker does not run', 'case $1 in info) exit 1 ;; esac', /^docker does not answer.+\n$/],
    ['nobody is logged in', '', /^docker is not logged in.+ docker login --username ada\n$/],
  ])('says in one line that %s', (_what, body, line) => {
    login('{ "auths": {} }');
    if (body === undefined) rmSync(join(folder, 'docker'), { force: true });
    else fakeDocker(body);
    expect(refusal({ DOCKERHUB_USER: 'ada', TAG: 'v1' })).toMatch(line);
  });
});

function fakeDocker(body = ''): void {
  writeFileSync(calls, '');
  writeFileSync(join(folder, 'docker'), `#!/bin/sh\necho "$@" >> '${calls}'\n${body}\n`, { mode: 0o755 });
}

function login(config: string): void {
  writeFileSync(join(folder, 'config.json'), config);
}

/** Runs the script with nothing in its PATH but the fake docker and what the script needs. */
function run(variables: Record<string, string>) {
  const tools = ['bash', 'dirname', 'grep', 'sed'].map((tool) => `ln -sf "$(command -v ${tool})" '${folder}/${tool}'`);
  execFileSync('sh', ['-ec', tools.join('\n')]);
  const env = { ...variables, PATH: folder, DOCKER_CONFIG: folder };
  return spawnSync(join(folder, 'bash'), [join(root, 'scripts/build_push.sh')], { env, encoding: 'utf8' });
}

/** What the script says when it must refuse, and does nothing. */
function refusal(variables: Record<string, string>): string {
  const { status, stdout, stderr } = run(variables);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  return stderr;
}

function imageIn(manifest: string): string | undefined {
  return /image: (\S+)/.exec(manifest)?.[1];
}
