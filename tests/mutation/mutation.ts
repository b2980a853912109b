/**
 * `npm run mutation -- [NAME ...] [--workers N]`: Stryker changes the runtime, the handlers and the queries in every way it
 * knows, one at a time, and the tests must notice. A NAME chooses the source files that have it in their path: `paging`,
 * `user-service`. All of them take hours; `--workers` is how many tests run side by side (2).
 *
 * Prints which changes nobody noticed, and how many of each file were noticed; `reports/mutation/found.json` keeps them, of
 * earlier runs too. Exits with 1 when less than 80 % were noticed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { root } from '@task-manager/dev/repository';
import setUp, { tearDown } from '@task-manager/testing/test-database';
import { runToEnd } from '@task-manager/dev/command';

/** What was found of one file: the changes that count, and those of them that no test has noticed. */
interface Found {
  mutants: number;
  survivors: string[];
}

/** Of Stryker's report (mutation-testing-report-schema); lines and columns count from 1. */
interface Mutant {
  mutatorName: string;
  replacement: string;
  status: string;
  location: { start: Position; end: Position };
}

interface Position {
  line: number;
  column: number;
}

const leastScore = 0.8;
const folder = join(root, 'reports/mutation');
const reportFile = join(folder, 'found.json');

const conventions = 'task-service/test/conventions';
const feed = 'task-service/test/feed';
const load = 'task-service/test/overload';
const createTask = 'task-service/test/create-task';
const listTasks = 'task-service/test/list-tasks';
const tasks = [createTask, 'task-service/test/update-task', 'task-service/test/get-task', listTasks];
const assignees = 'task-service/test/assignees';
const users = 'user-service/test/users';
const watching = 'task-service/test/observability';
const pages = 'runtime/test/pages';

/**
 * Which tests are to notice a change of a file: those meant for it, and after them others that reach it. Tests that start a
 * process are not among them, for what runs there is not changed.
 */
const testsOf: Record<string, string[]> = {
  'runtime/src/answers.ts': [conventions, load],
  'runtime/src/batches.ts': ['runtime/test/batches', conventions],
  'runtime/src/database.ts': ['runtime/test/database', conventions],
  'runtime/src/environment.ts': ['runtime/test/environment'],
  'runtime/src/feed.ts': [feed, conventions],
  'runtime/src/homepage.ts': [pages],
  'runtime/src/html.ts': ['runtime/test/html', pages],
  'runtime/src/ids.ts': ['runtime/test/ids', createTask],
  'runtime/src/lane.ts': ['runtime/test/lane', conventions],
  'runtime/src/limits.ts': [load],
  'runtime/src/log.ts': ['runtime/test/log', watching, load],
  'runtime/src/metrics.ts': [watching],
  'runtime/src/migrate.ts': ['runtime/test/migrate'],
  'runtime/src/pages.ts': [pages, conventions],
  'runtime/src/paging.ts': [listTasks, users],
  'runtime/src/problems.ts': [conventions, 'user-service/test/conventions'],
  'runtime/src/redoc.ts': [pages],
  'runtime/src/reference.ts': [pages],
  'runtime/src/replies.ts': [conventions, feed, 'user-service/test/conventions'],
  'runtime/src/samples.ts': ['runtime/test/samples', pages],
  'runtime/src/service.ts': [conventions, load],
  'task-service/src/handlers.ts': [...tasks, assignees, conventions],
  'task-service/src/list.ts': [listTasks],
  'task-service/src/queries.ts': [...tasks, assignees, conventions],
  'user-service/src/handlers.ts': [users, 'user-service/test/conventions'],
  'user-service/src/queries.ts': [users, 'user-service/test/conventions'],
};
const otherTests = [conventions, ...tasks];

await runToEnd('npm run mutation', async (stopped) => {
  await mkdir(folder, { recursive: true });
  const { positionals: names, values } = parseArgs({
    allowPositionals: true,
    options: { workers: { type: 'string', default: '2' } },
  });
  const files = await sources();
  const chosen = files.filter((file) => names.length === 0 || names.some((name) => file.includes(name)));
  if (chosen.length === 0) throw new Error(`no source file has ${names.join(' or ')} in its path`);
  const found = await readReport();
  await startDatabase();
  try {
    for (const file of chosen) {
      found[file] = await mutate(file, testsOf[file] ?? otherTests, Number(values.workers), stopped);
      await keep(found);
    }
  } finally {
    await tearDown();
  }
  report(found, files);
});

/** The files whose tests are tested, below `services/`. */
async function sources(): Promise<string[]> {
  const runtime = (await readdir(join(root, 'services/runtime/src'))).filter((name) => name.endsWith('.ts'));
  return [...new Set([...Object.keys(testsOf), ...runtime.map((name) => `runtime/src/${name}`)])];
}

/** One PostgreSQL for all tests: to make one takes longer than most tests do, and none of them needs what outlives it. */
async function startDatabase(): Promise<void> {
  await setUp();
  const port = Number(process.env.TEST_POSTGRES_PORT);
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password: 'postgres' });
  await client.connect();
  await client.query('alter system set fsync = off');
  await client.query('select pg_reload_conf()');
  await client.end();
}

/** Tries each change of a file with the first tests, and what they did not notice with the next ones. */
async function mutate(file: string, tests: string[], workers: number, stopped: AbortSignal): Promise<Found> {
  const [first, ...others] = tests;
  const results = await stryker([`services/${file}`], first as string, workers, stopped);
  let survivors = results.filter(isUnnoticed);
  for (const test of others) {
    if (survivors.length === 0) break;
    // A place holds smaller changes too, which have been noticed before.
    const again = (await stryker(survivors.map(placeIn(file)), test, workers, stopped)).filter(isUnnoticed).map(nameOf);
    survivors = survivors.filter((survivor) => again.includes(nameOf(survivor)));
  }
  return { mutants: results.length, survivors: survivors.map(nameOf) };
}

/** Tries each change in the `places` with these tests. */
async function stryker(places: string[], test: string, workers: number, stopped: AbortSignal): Promise<Mutant[]> {
  console.log(`\n${places.length === 1 ? places[0] : `${places.length} places`}, by ${test}`);
  const config = join(folder, 'stryker.json');
  const results = join(folder, 'results.json');
  await writeFile(config, JSON.stringify(optionsOf(places, test, workers, results)));
  const child = spawn(join(root, 'node_modules/.bin/stryker'), ['run', config], {
    cwd: root,
    stdio: 'inherit',
    signal: stopped,
  });
  const [code] = (await once(child, 'exit').catch(() => [null])) as [number | null];
  stopped.throwIfAborted();
  if (code !== 0) throw new Error('Stryker has failed: see above');
  const { files } = JSON.parse(await readFile(results, 'utf8')) as { files: Record<string, { mutants: Mutant[] }> };
  // Stryker counts none that keeps a module from loading.
  return Object.values(files).flatMap(({ mutants }) => mutants.filter(({ status }) => status !== 'RuntimeError'));
}

function optionsOf(places: string[], test: string, workers: number, results: string): object {
  return {
    mutate: places,
    testRunner: 'jest',
    plugins: ['@stryker-mutator/jest-runner'],
    coverageAnalysis: 'perTest',
    testRunnerNodeArgs: ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    jest: {
      configFile: 'jest.config.js',
      enableFindRelatedTests: false,
      config: {
        testMatch: [`<rootDir>/services/${test}.test.ts`],
        testEnvironment: './scripts/mutation-environment.cjs',
        // Many a change leaves a request without an answer; none must be taken for one because the machine is busy.
        testTimeout: 20_000,
        globalSetup: null,
        globalTeardown: null,
      },
    },
    ignorePatterns: ['reports', '.data', '.tools', 'benchmarks', 'kubernetes'],
    reporters: ['progress-append-only', 'json'],
    jsonReporter: { fileName: results },
    concurrency: workers,
    // For what never comes to a test's own time limit.
    timeoutMS: 60_000,
    timeoutFactor: workers,
    logLevel: 'warn',
    warnings: false,
  };
}

function isUnnoticed({ status }: Mutant): boolean {
  return status === 'Survived' || status === 'NoCoverage';
}

/** As Stryker wants it: lines from 1, columns from 0. */
function placeIn(file: string): (mutant: Mutant) => string {
  return ({ location: { start, end } }) =>
    `services/${file}:${start.line}:${start.column - 1}-${end.line}:${end.column - 1}`;
}

/** Where what kind of thing was changed, and into what: `12:8 ArithmeticOperator → a - b`. */
function nameOf({ location: { start }, mutatorName, replacement }: Mutant): string {
  return `${start.line}:${start.column} ${mutatorName} → ${replacement}`;
}

async function readReport(): Promise<Record<string, Found>> {
  const text = await readFile(reportFile, 'utf8').catch(() => '{}');
  return JSON.parse(text) as Record<string, Found>;
}

async function keep(found: Record<string, Found>): Promise<void> {
  await writeFile(reportFile, JSON.stringify(found, null, 2));
}

function report(found: Record<string, Found>, files: string[]): void {
  let [mutants, noticed] = [0, 0];
  for (const file of files) {
    const of = found[file];
    if (!of) continue;
    const ofFile = of.mutants - of.survivors.length;
    mutants += of.mutants;
    noticed += ofFile;
    console.log(`${String(ofFile).padStart(5)} of ${String(of.mutants).padStart(3)}  ${file}`);
    for (const survivor of of.survivors) console.log(`              ${survivor}`);
  }
  console.log(`${noticed} of ${mutants} changes noticed: ${Math.round((100 * noticed) / mutants)} %`);
  if (noticed < leastScore * mutants) process.exitCode = 1;
}
