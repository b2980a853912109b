/** scripts/build_push.sh with a fake `docker`, `buildah` and `npx` that log their arguments. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';

const root = new URL('../../', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'build-push-'));
const calls = join(folder, 'calls');

afterAll(() => {
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  writeFileSync(calls, '');
  for (const tool of ['docker', 'buildah']) rmSync(join(folder, tool), { force: true });
  fake('npx');
});

describe('build_push.sh', () => {
  it('builds both services for both platforms, pushes them and prints the commands that update the manifests', () => {
    login('{ "auths": { "https://index.docker.io/v1/": {} } }');
    fake('docker', writesMetadata);
    const { status, stdout, stderr } = run({ DOCKERHUB_USER: 'ada', TAG: 'v1' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });

    const builds = called('docker buildx build ');
    expect(builds.map(service)).toEqual(['task-service', 'user-service']);
    const images = ['ada/task-service:v1', 'ada/user-service:v1'];
    expect(builds.map((build) => /name=([^,]+),push=true,/.exec(build)?.[1])).toEqual(images);
    for (const build of builds) expect(build).toMatch(commonArguments);
    for (const build of builds) expect(build).toContain(' --platform linux/amd64,linux/arm64 ');
    expect(readFileSync(join(root, 'reports/images/task-service.digest'), 'utf8')).toBe('sha256:1234\n');

    const copy = join(folder, 'copy');
    cpSync(join(root, 'kubernetes'), join(copy, 'kubernetes'), { recursive: true });
    const commands = stdout.split('\n').filter((line) => line.startsWith('  sed '));
    execFileSync('sh', ['-ec', commands.join('\n')], { cwd: copy });
    const manifest = (service: string) => readFileSync(join(copy, 'kubernetes', `${service}.yaml`), 'utf8');
    expect([imageIn(manifest('task-service')), imageIn(manifest('user-service'))]).toEqual(images);
  });

  it('uses buildah and another registry when docker is missing', () => {
    fake('buildah', writesDigest);
    const { status, stdout, stderr } = run({ REGISTRY: 'ghcr.io/ada', TAG: 'v1' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });

    const builds = called('buildah build ');
    const platforms = builds.map((build) => [service(build), /--platform (\S+)/.exec(build)?.[1]].join(' '));
    expect(platforms).toEqual([
      'task-service linux/amd64',
      'task-service linux/arm64',
      'user-service linux/amd64',
      'user-service linux/arm64',
    ]);
    for (const build of builds) expect(build).toMatch(commonArguments);
    const images = ['ghcr.io/ada/task-service:v1', 'ghcr.io/ada/user-service:v1'];
    expect(called('buildah manifest push ').map((push) => push.split('docker://')[1])).toEqual(images);
    for (const image of images) expect(stdout).toContain(`|image: ${image}|`);
  });

  it('sets the timestamp of every build to the commit time', () => {
    login('{ "auths": { "ghcr.io": {} } }');
    const commit = (format: string) =>
      execFileSync('git', ['log', '-1', `--format=${format}`], { cwd: root, encoding: 'utf8' }).trim();
    const [seconds, revision] = [commit('%ct'), commit('%H')];
    const created = new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z');

    fake('docker', `case $2 in build) echo "epoch $SOURCE_DATE_EPOCH" >> "$CALLS" ;; esac\n${writesMetadata}`);
    run({ REGISTRY: 'ghcr.io/ada', TAG: 'v1' });
    expect(called('epoch ')).toEqual([`epoch ${seconds}`, `epoch ${seconds}`]);
    rmSync(join(folder, 'docker'));
    fake('buildah', writesDigest);
    run({ REGISTRY: 'ghcr.io/ada', TAG: 'v1' });

    const builds = [...called('docker buildx build '), ...called('buildah build ')];
    expect(builds).toHaveLength(6);
    for (const build of builds) {
      expect(build).toMatch(/rewrite-timestamp=true|--timestamp \d+/);
      expect(build).toContain(`--label org.opencontainers.image.created=${created}`);
      // -dirty follows when the work tree has changes.
      expect(build).toContain(`--label org.opencontainers.image.revision=${revision}`);
    }
  });

  it('writes an SBOM of the npm packages of each image', () => {
    fake('buildah', writesDigest);
    run({ REGISTRY: 'ghcr.io/ada', TAG: 'v1' });
    const boms = called('npx ');
    expect(boms.map((call) => /--workspace=services\/(\S+)/.exec(call)?.[1])).toEqual(['task-service', 'user-service']);
    for (const call of boms)
      expect(call).toMatch(/ --omit=dev .* --validate --output-file=reports\/images\/\S+\.cdx\.json$/);
  });

  it.each([
    [
      'a missing user',
      { TAG: 'v1' },
      /^DOCKERHUB_USER is missing: DOCKERHUB_USER=<you> TAG=v1 scripts\/build_push\.sh\n$/,
    ],
    ['a missing tag', { DOCKERHUB_USER: 'ada' }, /^TAG is missing: .+\n$/],
    [
      'an invalid user',
      { DOCKERHUB_USER: 'Ada/x', TAG: 'v1' },
      /^DOCKERHUB_USER "Ada\/x" is not a Docker Hub name: .+\n$/,
    ],
    [
      'an invalid registry',
      { REGISTRY: 'https://ghcr.io', TAG: 'v1' },
      /^REGISTRY "https:\/\/ghcr\.io" is not a registry: .+\n$/,
    ],
    ['an invalid tag', { DOCKERHUB_USER: 'ada', TAG: 'v|1' }, /^TAG "v\|1" is not a tag: .+\n$/],
  ])('fails with one line when there is %s', (_name, variables, line) => {
    expect(errorOf(variables)).toMatch(line);
  });

  it.each([
    ['docker is missing', undefined, /^docker is missing.+\n$/],
    ['docker has no buildx', 'case $1 in buildx) exit 1 ;; esac', /^docker buildx is missing.+\n$/],
    ['docker does not run', 'case $1 in info) exit 1 ;; esac', /^docker does not respond.+\n$/],
    ['docker is not logged in', '', /^docker is not logged in at docker\.io: docker login docker\.io\n$/],
  ])('fails with one line when %s', (_name, body, line) => {
    login('{ "auths": {} }');
    if (body !== undefined) fake('docker', body);
    expect(errorOf({ DOCKERHUB_USER: 'ada', TAG: 'v1' })).toMatch(line);
  });

  it('fails with one line when the push failed without an error from buildah 1.28', () => {
    fake('buildah');
    const { status, stderr } = run({ REGISTRY: 'ghcr.io/ada', TAG: 'v1' });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^buildah could not push ghcr\.io\/ada\/task-service:v1: .+\n$/),
    });
  });

  it('fails with one line when buildah is not logged in', () => {
    fake('buildah', 'case $1 in login) echo "Error: not logged into ghcr.io" >&2; exit 1 ;; esac');
    expect(errorOf({ REGISTRY: 'ghcr.io/ada', TAG: 'v1' })).toBe(
      'buildah is not logged in at ghcr.io: buildah login ghcr.io\n',
    );
  });
});

/** The arguments that docker and buildah share. */
const commonArguments = / --file services\/Dockerfile --build-arg SERVICE=\S+ --label .*\.version=v1 /;

/** Writes the metadata file of buildx. */
const writesMetadata = `while [ $# -gt 0 ]; do
  case $1 in --metadata-file) echo '{ "containerimage.digest": "sha256:1234" }' > "$2" ;; esac
  shift
done`;

/** Writes the digest file of a successful push. */
const writesDigest = `while [ $# -gt 0 ]; do
  case $1 in --digestfile) printf 'sha256:5678' > "$2" ;; esac
  shift
done`;

function fake(tool: string, body = ''): void {
  const script = `#!/bin/sh\nCALLS='${calls}'\necho "${tool} $*" >> "$CALLS"\n${body}\n`;
  writeFileSync(join(folder, tool), script, { mode: 0o755 });
}

function called(prefix: string): string[] {
  const lines = readFileSync(calls, 'utf8').split('\n');
  return lines.filter((line) => line.startsWith(prefix));
}

function service(build: string): string | undefined {
  return /--build-arg SERVICE=(\S+)/.exec(build)?.[1];
}

function login(config: string): void {
  writeFileSync(join(folder, 'config.json'), config);
}

/** Runs the script with only the fakes and the tools that it needs in its PATH. */
function run(variables: Record<string, string>) {
  const tools = ['bash', 'dirname', 'git', 'grep', 'mkdir', 'rm', 'sed'].map(
    (tool) => `ln -sf "$(command -v ${tool})" '${folder}/${tool}'`,
  );
  execFileSync('sh', ['-ec', tools.join('\n')]);
  const env = { ...variables, PATH: folder, DOCKER_CONFIG: folder };
  return spawnSync(join(folder, 'bash'), [join(root, 'scripts/build_push.sh')], { env, encoding: 'utf8' });
}

/** The error output of a run that fails and prints nothing else. */
function errorOf(variables: Record<string, string>): string {
  const { status, stdout, stderr } = run(variables);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  return stderr;
}

function imageIn(manifest: string): string | undefined {
  return /image: (\S+)/.exec(manifest)?.[1];
}
