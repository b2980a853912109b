/**
 * `npm run bench [-- --quick] [-- --write] [-- --json]`: compares the task service with its peers and with servers that do
 * nothing, in one run on one throw-away PostgreSQL with durable commits. All servers stay up, samples of one second are
 * interleaved in rotating order, and a sample that other processes have disturbed is repeated. Responses are compared
 * before the run, and rows with acknowledged writes after it. Exits with 1 when they differ or a request failed.
 *
 * It takes about 15 minutes; `--quick` measures only 64 connections in three rounds, in three minutes. `--write` puts the
 * results into `benchmarks/README.md` and `benchmarks/results/` if nothing failed, `--json` prints them as JSON.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import pg from 'pg';
import { rssMbOf } from '@task-manager/testing/memory';
import { quantile, sum } from '@task-manager/testing/statistics';
import { createDatabase, startPostgres, type Postgres } from '@task-manager/dev/embedded-postgres';
import { Acknowledged, compareAnswers } from './checks.ts';
import { loadNames, type Job, type LoadName, type Message, type Outcome } from './load-generator.ts';
import { busyMsOf, cpuMsOf, lookAtProcesses, twoCpus } from './processes.ts';
import { describeRun, figuresOf, tablesOf, writeResults, type Result, type Run } from './report.ts';
import { database, Servers, type Server } from './servers.ts';

const options = { quick: { type: 'boolean' }, write: { type: 'boolean' }, json: { type: 'boolean' } } as const;
const { quick, write, json } = parseArgs({ options }).values;
const rounds = quick ? 3 : 5;
const connectionCounts = quick ? [64] : [64, 1, 16, 256];
/** For floors, gateways and the warm-up. */
const usualConnections = 64;
const warmUpSeconds = quick ? 1 : 2;
const sampleSeconds = 1;
const preparedTasks = 10_000;
/** The CPU share that other processes may use during a sample; otherwise it is repeated, within these limits. */
const disturbanceMax = 0.2;
const triesMax = 3;
const retakenMax = connectionCounts.length * 5;

const dataDir = await mkdtemp(join(tmpdir(), 'task-manager-bench-'));
// When root starts it, PostgreSQL runs as another user.
await chmod(dataDir, 0o755);
const cpus = twoCpus();
const postgres = await startPostgres({ dataDir });
const servers = new Servers(dataDir, cpus?.first, postgres);
const generator = fork(new URL('load-generator.js', import.meta.url));
const acknowledged = new Acknowledged();
const samples: Result[] = [];
let retaken = 0;
let failed = 0;
let roundsBeganAt = 0;
const interruption = new AbortController();

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    interruption.abort();
    void stop().finally(() => process.exit(1));
  });
}
try {
  await createDatabase(postgres, database, ['task-service']);
  const db = await openDatabase(postgres);
  say('Starting the servers …');
  const leftOut = await servers.startServices();
  const ids = await prepareTasks(db);
  send({ ids });
  say('Comparing their responses …');
  await compareAnswers([...servers.services, ...servers.replicas], ids[0] ?? '', acknowledged);
  const floors = await servers.startFloors();
  const pgbench = await findPgbench(postgres);
  if (!pgbench) leftOut.push('pgbench is not measured, because it is not installed.');
  leftOut.forEach(say);

  const postmaster = Number((await readFile(join(postgres.dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  await warmUp([...servers.services, ...servers.replicas, floors]);
  roundsBeganAt = performance.now();
  for (let round = 0; round < rounds; round++) await runRound(round, db, floors, postmaster, pgbench);

  const differences = await acknowledged.differences(db);
  const run: Run = {
    ...(await describeRun(db)),
    pinned: cpus !== undefined,
    rounds,
    sampleSeconds,
    leftOut,
    retaken,
    writes: acknowledged.total,
    differences,
    results: medians(samples),
  };
  await db.end();
  if (json) console.log(JSON.stringify({ ...run, figures: figuresOf(run) }, null, 2));
  else console.log(tablesOf(run));
  if (differences.length > 0 || failed > 0) {
    process.exitCode = 1;
    say(`The run failed: ${failed} requests failed, ${differences.length} differences in the tables.`);
  } else if (write) await writeResults(run);
} catch (error) {
  // An interrupted run fails.
  if (!interruption.signal.aborted) throw error;
} finally {
  await stop();
}

async function stop(): Promise<void> {
  generator.kill('SIGKILL');
  await servers.stop();
  await postgres.stop();
  await rm(postgres.dataDir, { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}

/** Default settings, except that tables are vacuumed between rounds and not during a sample. */
async function openDatabase({ host, port, user, password }: Postgres): Promise<pg.Client> {
  const db = new pg.Client({ host, port, user, password, database, ssl: false });
  // After a failure PostgreSQL is stopped before this connection ends.
  db.on('error', () => undefined);
  await db.connect();
  for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes']) {
    const { rows } = await db.query<Record<string, string>>(`show ${setting}`);
    if (rows[0]?.[setting] !== 'on') throw new Error(`PostgreSQL must have ${setting} on: its commits must be durable`);
  }
  await db.query('alter system set autovacuum = off');
  await db.query('select pg_reload_conf()');
  return db;
}

/** Creates the tasks that are read and changed. Resolves with their ids. */
async function prepareTasks(db: pg.Client): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `insert into task_service.tasks (id, title, description, created_at, updated_at, search)
     select id, title, description, uuid_extract_timestamp(id), uuid_extract_timestamp(id),
       to_tsvector('simple', title || ' ' || description)
     from (
       select uuidv7((number - $1) * interval '1 minute') as id, 'Prepared ' || number as title,
         'Something that has to be done before the end of the week.' as description
       from generate_series(1, $1::int) as number
     )
     returning id`,
    [preparedTasks],
  );
  await db.query('vacuum (analyze)');
  return rows.map(({ id }) => id);
}

async function warmUp(all: Server[]): Promise<void> {
  for (const server of all) {
    say(`Warming up: ${server.name} …`);
    for (const load of loadsOf(server)) await play(server, load, usualConnections, warmUpSeconds, 0);
  }
}

function loadsOf({ key }: Server): readonly LoadName[] {
  return key === 'floors' ? ['echo', 'page', 'health'] : loadNames;
}

/** Every load, number of connections and server once; another server comes first in each round. */
async function runRound(
  round: number,
  db: pg.Client,
  floors: Server,
  postmaster: number,
  pgbench: Pgbench | undefined,
): Promise<void> {
  await db.query('vacuum (analyze)');
  await db.query('checkpoint');
  for (const { key } of [...servers.services, ...servers.replicas]) await truncate(join(dataDir, `${key}.log`), 0);
  for (const connections of connectionCounts) {
    for (const load of loadNames) {
      const compared = connections === usualConnections ? [...servers.services, ...servers.replicas] : servers.services;
      for (const server of rotated(compared, round)) {
        await takeSample(server, load, connections, round, postmaster);
      }
      tell(round, connections, load, compared.length);
    }
    if (connections !== usualConnections) continue;
    for (const load of loadsOf(floors)) await takeSample(floors, load, connections, round, postmaster);
    if (pgbench) samples.push(await pgbench());
  }
}

function rotated<Item>(items: Item[], by: number): Item[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

/** Repeats a disturbed sample, and keeps the one that was disturbed least. */
async function takeSample(
  server: Server,
  load: LoadName,
  connections: number,
  round: number,
  postmaster: number,
): Promise<void> {
  let best: Result | undefined;
  for (let attempt = 1; attempt <= triesMax; attempt++) {
    const sample = await measure(server, load, connections, round * triesMax + attempt, postmaster);
    if (!best || sample.disturbance < best.disturbance) best = sample;
    if (!(sample.disturbance > disturbanceMax) || retaken >= (round + 1) * retakenMax) break;
    if (attempt < triesMax) retaken++;
  }
  if (best) samples.push(best);
}

async function measure(
  server: Server,
  load: LoadName,
  connections: number,
  seed: number,
  postmaster: number,
): Promise<Result> {
  const usage = () => {
    const processes = lookAtProcesses();
    return {
      atMs: performance.now(),
      server: cpuMsOf(processes, server.pid),
      postgres: cpuMsOf(processes, postmaster),
      load: cpuMsOf(processes, generator.pid ?? 0),
      // Every process of this run. PostgreSQL is not a child of this process.
      ours: cpuMsOf(processes, process.pid) + cpuMsOf(processes, postmaster),
      busy: cpus && busyMsOf([cpus.first, cpus.second]),
    };
  };
  let before = usage();
  const outcome = await play(server, load, connections, sampleSeconds, seed, () => {
    before = usage();
  });
  const after = usage();
  const elapsedMs = after.atMs - before.atMs;
  const perRequestUs = (part: 'server' | 'postgres' | 'load') =>
    ((after[part] - before[part]) * 1000) / outcome.answered;
  const others =
    after.busy === undefined || before.busy === undefined ? NaN : after.busy - before.busy - (after.ours - before.ours);
  return {
    server: server.key === 'floors' ? load : server.key,
    load,
    connections,
    requestsPerSecond: outcome.requests / outcome.seconds,
    p50Ms: outcome.p50Ms,
    p99Ms: outcome.p99Ms,
    serverCpuUs: perRequestUs('server'),
    postgresCpuUs: perRequestUs('postgres'),
    loadCpuUs: perRequestUs('load'),
    rssMb: rssMbOf(server.pid),
    errors: sum(Object.values(outcome.errors)),
    // The system samples its CPU usage, so the total may appear to be lower than ours.
    disturbance: others < 0 ? 0 : others / elapsedMs,
  };
}

/** Plays one load, and counts the writes. `beforeIt` is called when the generator is connected. */
async function play(
  server: Server,
  load: LoadName,
  connections: number,
  seconds: number,
  seed: number,
  beforeIt: () => void = () => undefined,
): Promise<Outcome> {
  const job: Job = { port: server.port, load, connections, seconds, seed, tag: server.key };
  send({ job });
  await answerOf(generator);
  beforeIt();
  send('go');
  const outcome = (await answerOf(generator)) as Outcome;
  if (server.child.exitCode !== null || server.child.signalCode !== null) throw new Error(`${server.name} has ended`);
  acknowledged.add(server.key, outcome);
  for (const [kind, count] of Object.entries(outcome.errors)) {
    failed += count;
    say(`${server.name}, ${load}, ${connections} connections: ${count} requests failed: ${kind}`);
  }
  return outcome;
}

function send(message: Message): void {
  generator.send(message);
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const given = new AbortController();
  const { signal } = given;
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error('the load generator has ended');
  });
  // The loser of the race is aborted.
  ended.catch(() => undefined);
  try {
    const [message] = (await Promise.race([once(child, 'message', { signal }), ended])) as [unknown];
    return message;
  } finally {
    given.abort();
  }
}

type Pgbench = () => Promise<Result>;

/** PostgreSQL alone with one commit per row: pgbench, with as many connections as a pool. */
async function findPgbench({ host, port }: Postgres): Promise<Pgbench | undefined> {
  const script = join(dataDir, 'insert.sql');
  await writeFile(
    script,
    `with task as (
       insert into task_service.tasks (id, title, description, created_at, updated_at, search)
       values (uuidv7(), 'bench pgbench', 'Something that has to be done before the end of the week.', now(), now(),
         to_tsvector('simple', 'bench pgbench Something that has to be done before the end of the week.'))
       returning id, version
     )
     insert into task_service.events (type, subject, version) select 'task.created', id, version from task;\n`,
  );
  const options = ['-h', host, '-p', String(port), '-U', 'task_service', '-n', '-M', 'prepared', '-c', '10', '-j', '1'];
  const run = async (seconds: number) => {
    const { stdout } = await promisify(execFile)(
      'pgbench',
      [...options, '-T', String(seconds), '-f', script, database],
      { env: { PATH: process.env.PATH, PGPASSWORD: 'task_service' } },
    );
    acknowledged.add('pgbench', { created: Number(/actually processed: (\d+)/.exec(stdout)?.[1]), changed: 0 });
    return Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  };
  if (!(await run(1).catch(() => undefined))) return undefined;
  return async () => {
    const unknown = {
      p50Ms: NaN,
      p99Ms: NaN,
      serverCpuUs: NaN,
      postgresCpuUs: NaN,
      loadCpuUs: NaN,
      rssMb: NaN,
      disturbance: NaN,
    };
    const requestsPerSecond = await run(sampleSeconds);
    return { server: 'pgbench', load: 'POST', connections: 10, requestsPerSecond, ...unknown, errors: 0 };
  };
}

/** One of each server, load and number of connections. */
function medians(all: Result[]): Result[] {
  const groups = new Map<string, Result[]>();
  for (const sample of all) {
    const name = `${sample.server} ${sample.load} ${sample.connections}`;
    groups.set(name, [...(groups.get(name) ?? []), sample]);
  }
  return [...groups.values()].map((group) => {
    const [first] = group as [Result];
    const median = (name: keyof Omit<Result, 'server' | 'load'>) =>
      quantile(
        group.map((each) => each[name]),
        0.5,
      );
    return {
      ...first,
      requestsPerSecond: median('requestsPerSecond'),
      p50Ms: median('p50Ms'),
      p99Ms: median('p99Ms'),
      serverCpuUs: median('serverCpuUs'),
      postgresCpuUs: median('postgresCpuUs'),
      loadCpuUs: median('loadCpuUs'),
      rssMb: median('rssMb'),
      disturbance: median('disturbance'),
      errors: sum(group.map(({ errors }) => errors)),
    };
  });
}

/** One line for each load of a round. */
function tell(round: number, connections: number, load: (typeof loadNames)[number], compared: number): void {
  const place =
    round +
    (connectionCounts.indexOf(connections) + (loadNames.indexOf(load) + 1) / loadNames.length) /
      connectionCounts.length;
  const minutesLeft = ((performance.now() - roundsBeganAt) / 60_000) * (rounds / place - 1);
  const rates = samples.slice(-compared).map((each) => `${each.server} ${Math.round(each.requestsPerSecond)}`);
  say(
    `Round ${round + 1} of ${rounds}, about ${Math.ceil(minutesLeft)} min left: ${load}, ${connections} connections, ` +
      `requests/s: ${rates.join(', ')}`,
  );
}

function say(line: string): void {
  console.error(line);
}
