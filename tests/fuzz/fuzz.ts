/**
 * `npm run fuzz -- [BASE_URL] [--seed N] [--examples N]`: Schemathesis tries both contracts as schemathesis.toml says, with
 * every check in every phase. `BASE_URL` is a gateway or an Ingress, which fills with what is made; without it a sandbox is
 * started. `--examples` is how many for each operation (100), `--seed` repeats a run; a new one is printed. Schemathesis is
 * installed into `.tools/`, which needs Python 3.10 or newer. Reports as JUnit and HAR: `reports/fuzz/`.
 *
 * Exits with 1 when a contract and its service differ, or a service of the sandbox has logged an error.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { services } from '@task-manager/dev/repository';
import { printLine } from '@task-manager/dev/log';
import { startSandbox } from '@task-manager/dev/sandbox';
import { root } from '@task-manager/dev/repository';
import { findPort } from '@task-manager/dev/system';
import { runToEnd } from '@task-manager/dev/command';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, examples: { type: 'string', default: '100' } },
});
const seed = values.seed ?? String(randomInt(1_000_000));
const reports = join(root, 'reports/fuzz');
/** What the services of the sandbox have logged as errors: there should be none, whatever is sent. */
const errors: string[] = [];

await runToEnd('npm run fuzz', async (stopped) => {
  const schemathesis = await install(stopped);
  await mkdir(reports, { recursive: true });
  const [given] = positionals;
  const sandbox = given ? undefined : await startSandbox({ port: await findPort(), print: keepErrors }, stopped);
  const url = (given ?? sandbox?.url ?? '').replace(/\/$/, '');
  console.log(`Fuzzing ${url} with ${values.examples} examples an operation. Seed: ${seed}\n`);
  const fuzzing = services.map((service) => fuzz(schemathesis, service, url, stopped));
  report(await Promise.all(fuzzing).finally(() => sandbox?.stop()));
});

/** Where the program is, installed when it is not there or another version is asked for. */
async function install(stopped: AbortSignal): Promise<string> {
  const folder = join(root, '.tools/schemathesis');
  const program = join(folder, 'bin/schemathesis');
  const requirements = join(root, 'tests/fuzz/requirements.txt');
  const installed = join(folder, 'installed.txt');
  const asked = await readFile(requirements, 'utf8');
  if ((await readFile(installed, 'utf8').catch(() => '')) === asked) return program;
  console.log('Installing Schemathesis …');
  await rm(folder, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', folder], stopped);
  await run(
    join(folder, 'bin/pip'),
    ['install', '--quiet', '--disable-pip-version-check', '-r', requirements],
    stopped,
  );
  await writeFile(installed, asked);
  return program;
}

async function run(command: string, options: string[], signal: AbortSignal): Promise<void> {
  const child = spawn(command, options, { stdio: 'inherit', signal });
  const [code] = (await once(child, 'close').catch(() => [undefined])) as [number?];
  signal.throwIfAborted();
  if (code === 0) return;
  throw new Error(
    `${command} ${options.join(' ')} failed: Python 3.10 or newer with venv, and a package index, are needed`,
  );
}

interface Outcome {
  service: string;
  passed: boolean;
  cases: string;
}

async function fuzz(schemathesis: string, service: string, url: string, signal: AbortSignal): Promise<Outcome> {
  const name = join(reports, `${service}-${seed}`);
  const contract = `generated/${service}.yaml`;
  const { servers } = parse(await readFile(join(root, contract), 'utf8')) as { servers: [{ url: string }] };
  const child = spawn(
    schemathesis,
    [
      ...['run', contract, '--url', url + servers[0].url.replace(/\/$/, '')],
      ...['--seed', seed, '--max-examples', values.examples, '--report', 'junit,har'],
      ...['--report-junit-path', `${name}.xml`, '--report-har-path', `${name}.har`],
    ],
    { cwd: root, env: { ...process.env, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'inherit'], signal },
  );
  let cases = 'no cases';
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.trim()) printLine(service, 'cyan', line);
    cases = /^\s+(\d+ generated.*)/.exec(line)?.[1] ?? cases;
  });
  const [code] = (await once(child, 'close')) as [number];
  return { service, passed: code === 0, cases };
}

function keepErrors(name: string, _style: unknown, line: string): void {
  const { level = 0, status = 0 } = (line.startsWith('{') ? JSON.parse(line) : {}) as {
    level?: number;
    status?: number;
  };
  if (level >= 50 || status >= 500) errors.push(`${name} ${line}`);
}

function report(outcomes: Outcome[]): void {
  console.log('');
  for (const { service, passed, cases } of outcomes) console.log(`${service}: ${passed ? 'ok' : 'FAILED'}, ${cases}`);
  for (const error of errors) console.log(error);
  const logged = positionals[0] ? '' : `, ${errors.length} errors in the log`;
  console.log(`Seed ${seed}${logged}; reports in reports/fuzz/`);
  if (errors.length > 0 || outcomes.some(({ passed }) => !passed)) process.exitCode = 1;
}
