/**
 * `npm run fuzz -- [BASE_URL] [--seed N] [--examples N]`: Schemathesis tests both contracts as schemathesis.toml says, with
 * every check in every phase. `BASE_URL` is a gateway or an Ingress, where the created data stays; without it a sandbox is
 * started. `--examples` is the number for each operation (100), `--seed` repeats a run; a new one is printed. Schemathesis
 * is installed into `.tools/`, which needs Python 3.10 or newer. JUnit and HAR reports are in `reports/fuzz/`.
 *
 * Exits with 1 when a service violates its contract, or a service of the sandbox has logged an error.
 */
import { randomInt } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { runToEnd } from '@task-manager/dev/command';
import { printLine } from '@task-manager/dev/log';
import { root, services } from '@task-manager/dev/repository';
import { startSandbox } from '@task-manager/dev/sandbox';
import { findPort } from '@task-manager/dev/system';
import { installTool, run } from '@task-manager/testing/commands';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, examples: { type: 'string', default: '100' } },
});
const [given] = positionals;
const seed = values.seed ?? String(randomInt(1_000_000));
const requirements = 'tests/fuzz/requirements.txt';

await runToEnd('npm run fuzz', async (stopped) => {
  const version = await readFile(join(root, requirements), 'utf8');
  const install = (folder: string): [string, ...string[]][] => [
    ['python3', '-m', 'venv', folder],
    [join(folder, 'bin/pip'), 'install', '--quiet', '--disable-pip-version-check', '-r', requirements],
  ];
  const schemathesis = join(await installTool('schemathesis', version, install, stopped), 'bin/schemathesis');
  await mkdir(join(root, 'reports/fuzz'), { recursive: true });
  const errors: string[] = [];
  const print = (name: string, _style: unknown, line: string) => {
    if (isError(line)) errors.push(`${name} ${line}`);
  };
  const sandbox = given ? undefined : await startSandbox({ port: await findPort(), print }, stopped);
  const url = (given ?? sandbox?.url ?? '').replace(/\/$/, '');
  console.log(`Fuzzing ${url} with ${values.examples} examples per operation. Seed: ${seed}\n`);
  const fuzzing = services.map((service) => fuzz(schemathesis, service, url, stopped));
  const results = await Promise.all(fuzzing).finally(() => sandbox?.stop());
  console.log('');
  for (const { service, passed, cases } of results) console.log(`${service}: ${passed ? 'ok' : 'FAILED'}, ${cases}`);
  for (const error of errors) console.log(error);
  console.log(`Seed ${seed}${given ? '' : `, ${errors.length} errors in the log`}; reports in reports/fuzz/`);
  if (errors.length > 0 || results.some(({ passed }) => !passed)) process.exitCode = 1;
});

async function fuzz(schemathesis: string, service: string, url: string, signal: AbortSignal) {
  const report = `reports/fuzz/${service}-${seed}`;
  const contract = `generated/${service}.yaml`;
  const { servers } = parse(await readFile(join(root, contract), 'utf8')) as { servers: [{ url: string }] };
  const args = [
    ...['run', contract, '--url', url + servers[0].url.replace(/\/$/, '')],
    ...['--seed', seed, '--max-examples', values.examples, '--report', 'junit,har'],
    ...['--report-junit-path', `${report}.xml`, '--report-har-path', `${report}.har`],
  ];
  let cases = 'no cases';
  const onLine = (line: string) => {
    if (line.trim()) printLine(service, 'cyan', line);
    cases = /^\s+(\d+ generated.*)/.exec(line)?.[1] ?? cases;
  };
  const code = await run(schemathesis, args, { env: { NO_COLOR: '1' }, signal, onLine });
  return { service, passed: code === 0, cases };
}

/** Whatever is sent, a service must not log an error or return 5xx. */
function isError(line: string): boolean {
  if (!line.startsWith('{')) return false;
  const { level = 0, status = 0 } = JSON.parse(line) as { level?: number; status?: number };
  return level >= 50 || status >= 500;
}
