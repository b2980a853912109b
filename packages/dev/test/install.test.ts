/** scripts/install.mjs in a checkout of its own, with an `npm` that records its calls and installs nothing but a lockfile. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@task-manager/testing/until';

const script = fileURLToPath(new URL('../../../scripts/install.mjs', import.meta.url));
const fakeNpm = `#!/bin/sh
echo "$@" >> calls
[ -z "$NPM_FAILS" ] || { echo 'npm error network' >&2; exit 1; }
rm -rf node_modules
mkdir node_modules
[ -z "$NPM_WAITS" ] || exec sleep 30
sleep 0.2
cp package-lock.json node_modules/.package-lock.json
echo 'added 1 package'
`;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'task-manager-install-'));
  for (const folder of ['scripts', 'bin']) await mkdir(join(root, folder));
  await cp(script, join(root, 'scripts/install.mjs'));
  await writeFile(join(root, 'bin/npm'), fakeNpm, { mode: 0o755 });
  await lock({ version: '1.0.0' });
});
afterEach(() => rm(root, { recursive: true }));

describe('install.mjs', () => {
  it('runs npm ci when node_modules is missing', async () => {
    const { code, stdout, stderr } = await run();
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toBe('Installing packages (node_modules is missing or incomplete) …\nadded 1 package\n');
    expect(await calls()).toEqual([expect.stringMatching(/^ci .*--no-audit --no-fund/)]);
  });

  it('runs nothing when packages are installed', async () => {
    await run();
    expect(await run()).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await calls()).toHaveLength(1);
  });

  it('runs nothing when npm ci was run by hand', async () => {
    await installByHand();
    expect(await run()).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('runs nothing when the lockfile adds only packages of other platforms and omitted peers', async () => {
    await installByHand();
    await lock(
      { version: '1.0.0' },
      { 'node_modules/b-win32': { optional: true }, 'node_modules/react': { peer: true } },
    );
    expect(await run()).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('runs npm ci when the lockfile has changed', async () => {
    await run();
    await lock({ version: '1.0.1' });
    expect((await run()).stderr).toContain('Installing packages (package-lock.json has changed) …');
    await lock({ version: '1.0.0' });
    await run();
    await lock({ version: '1.0.0' }, { 'node_modules/b': { version: '1.0.0' } });
    await run();
    await lock({ version: '1.0.0' });
    await run();
    expect(await calls()).toHaveLength(5);
  });

  it('runs npm ci once when two commands start together', async () => {
    const [one, two] = await Promise.all([run(), run()]);
    expect([one.code, two.code]).toEqual([0, 0]);
    expect(await calls()).toHaveLength(1);
  });

  it('repairs an install that was interrupted', async () => {
    const interrupted = start({ NPM_WAITS: '1' });
    await until(async () => (await calls()).length === 1);
    interrupted.child.kill('SIGINT');
    expect((await interrupted.ended).code).toBe(130);
    expect((await run()).stderr).toContain('node_modules is missing or incomplete');
    expect(await run()).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('installs after a command that was killed', async () => {
    await mkdir(join(root, '.tools'));
    await writeFile(join(root, '.tools/npm-ci.pid'), '99999999');
    expect((await run()).code).toBe(0);
  });

  it('exits with 1 and says what to do when npm ci fails', async () => {
    const { code, stderr } = await run({ NPM_FAILS: '1' });
    expect(code).toBe(1);
    expect(stderr.trimEnd().split('\n').at(-1)).toBe(
      'npm ci failed (1): read the lines above, check the network and run the command again.',
    );
    expect((await run()).code).toBe(0);
  });
});

async function lock(a: { version: string }, others = {}): Promise<void> {
  const lockfile = { packages: { '': { name: 'root' }, 'node_modules/a': a, ...others } };
  await writeFile(join(root, 'package-lock.json'), JSON.stringify(lockfile));
}

async function installByHand(): Promise<void> {
  await mkdir(join(root, 'node_modules'));
  await cp(join(root, 'package-lock.json'), join(root, 'node_modules/.package-lock.json'));
}

async function calls(): Promise<string[]> {
  const text = await readFile(join(root, 'calls'), 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

function start(environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import=./scripts/install.mjs', '--eval', ''], {
    cwd: root,
    env: { ...process.env, PATH: `${root}/bin:${process.env.PATH}`, ...environment },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, ended };
}

function run(environment?: Record<string, string>) {
  return start(environment).ended;
}
