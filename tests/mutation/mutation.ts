/**
 * `npm run mutation -- [NAME ...] [--workers N]`: Stryker changes the runtime, the handlers and the queries in every way it
 * knows, one mutant at a time, and a test that covers the change must fail. A NAME selects the source files that have it in
 * their path: `cursor`, `user-service`. All files take hours. `--workers` is the number of concurrent test runs (2).
 *
 * Prints the mutants that survived and the score of each file; `reports/mutation/` has them as HTML, and keeps the results
 * of unchanged files for the next run. Stryker is installed into `.tools/`. Exits with 1 when the score is below 80 %.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runToEnd } from '@task-manager/dev/command';
import { root, services } from '@task-manager/dev/repository';
import { installTool, run } from '@task-manager/testing/commands';
import setUpDatabase, { tearDown } from '@task-manager/testing/test-database';

const version = '9.6.1';
const reports = 'reports/mutation';
const servicePackages = services.map((service) => `services/${service}`);

await runToEnd('npm run mutation', async (stopped) => {
  const { positionals: names, values } = parseArgs({
    allowPositionals: true,
    options: { workers: { type: 'string', default: '2' } },
  });
  const sources = await sourceFiles();
  const files = sources.filter((file) => names.length === 0 || names.some((name) => file.includes(name)));
  if (files.length === 0) throw new Error(`no source file has ${names.join(' or ')} in its path`);
  const packages = ['stryker-mutator/core', 'stryker-mutator/jest-runner'].map((name) => `@${name}@${version}`);
  const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const install = (folder: string): [string, ...string[]][] => [
    ['npm', 'install', '--prefix', folder, ...flags, ...packages],
  ];
  const modules = join(await installTool('stryker', version, install, stopped), 'node_modules');
  await mkdir(join(root, reports), { recursive: true });
  const config = join(root, reports, 'stryker.json');
  const options = strykerOptions(files, await testFilesFor(files), Number(values.workers));
  await writeFile(config, JSON.stringify(options, null, 2));
  // One PostgreSQL for all test runs: starting one takes longer than most tests.
  await setUpDatabase();
  try {
    process.exitCode = await run(join(modules, '.bin/stryker'), ['run', config], { signal: stopped });
  } finally {
    await tearDown();
  }
});

async function sourceFiles(): Promise<string[]> {
  const files = await Promise.all(['packages/runtime', ...servicePackages].map((folder) => filesIn(`${folder}/src`)));
  // main.ts runs only in a process of its own, where it is not changed.
  return files.flat().filter((file) => !file.endsWith('/main.ts'));
}

/** The tests of the packages of these files; those of the services test the runtime too, where they run it in-process. */
async function testFilesFor(files: string[]): Promise<string[]> {
  const ofRuntime = files.some((file) => file.startsWith('packages/'));
  const packages = servicePackages.filter((folder) => ofRuntime || files.some((file) => file.startsWith(folder)));
  const tests = await Promise.all(packages.map((folder) => filesIn(`${folder}/test`)));
  const texts = await Promise.all(tests.flat().map(async (test) => [test, await readFile(join(root, test), 'utf8')]));
  const inProcess = texts.flatMap(([test = '', text]) => (text?.includes('testing/processes') ? [] : [test]));
  return [...(ofRuntime ? await filesIn('packages/runtime/test') : []), ...inProcess];
}

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(join(root, folder), { recursive: true });
  return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`);
}

function strykerOptions(files: string[], tests: string[], workers: number): object {
  return {
    mutate: files,
    testRunner: 'jest',
    coverageAnalysis: 'perTest',
    testRunnerNodeArgs: ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    jest: {
      configFile: 'jest.config.js',
      config: {
        testMatch: tests.filter((test) => test.endsWith('.test.ts')).map((test) => `<rootDir>/${test}`),
        testEnvironment: join(root, 'tests/mutation/environment.cjs'),
        testSequencer: join(root, 'tests/mutation/sequencer.cjs'),
        globalSetup: null,
        globalTeardown: null,
        reporters: [],
      },
    },
    ignorePatterns: ['reports', '.data', '.tools', 'benchmarks', 'kubernetes'],
    reporters: ['progress-append-only', 'clear-text', 'html'],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    htmlReporter: { fileName: `${reports}/mutation.html` },
    cleanTempDir: 'always',
    incremental: true,
    incrementalFile: `${reports}/incremental.json`,
    thresholds: { high: 90, low: 80, break: 80 },
    concurrency: workers,
    dryRunTimeoutMinutes: 60,
    timeoutMS: 60_000,
    timeoutFactor: workers,
    logLevel: 'warn',
    warnings: false,
  };
}
