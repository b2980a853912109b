/**
 * `npm run bench:lists [ROWS…] [--json]`: what a page of the list costs in a large table, at one client. Every filter with
 * every sort, first page and a page from the middle, against getTask in the same run; and for the lists that one index
 * orders, whether a page costs the same in the smaller tables (by default 10,000 and 1,000,000 tasks). The pages are
 * compared with what PostgreSQL itself says before anything is timed. The database is made for the run and thrown away.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import pg from 'pg';
import { createDatabase, startPostgres, type Postgres } from '@task-manager/dev/embedded-postgres';
import { quantile } from '@task-manager/testing/statistics';
import { until } from '@task-manager/testing/until';

const pageSize = 50;
const warmUpRounds = 3;
const rounds = 40;
const bound = 5;
const tolerance = 0.2;

const asJson = process.argv.includes('--json');
const given = process.argv.slice(2).filter((argument) => argument !== '--json');
const sizes = (given.length > 0 ? given : ['10000', '1000000']).map(Number).sort((a, b) => a - b);

const dueInTheMiddle = day(0);
const user = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
const filters: { query: Record<string, string>; where: string; name?: string }[] = [
  { query: {}, where: 'true' },
  { query: { status: 'done' }, where: `status = 'done'` },
  { query: { status: 'todo' }, where: `status = 'todo'` },
  { query: { status: 'in-progress' }, where: `status = 'in-progress'` },
  { name: 'assigneeId=busy', query: { assigneeId: user(0) }, where: `assignee_id = '${user(0)}'` },
  { name: 'assigneeId=usual', query: { assigneeId: user(500) }, where: `assignee_id = '${user(500)}'` },
  { query: { label: 'common' }, where: `'common' = any (labels)` },
  { query: { label: 'rare' }, where: `'rare' = any (labels)` },
  { query: { label: 'none' }, where: 'false' },
  { name: 'dueBefore', query: { dueBefore: dueInTheMiddle }, where: `due_date < '${dueInTheMiddle}'` },
  { name: 'dueAfter', query: { dueAfter: dueInTheMiddle }, where: `due_date > '${dueInTheMiddle}'` },
  {
    name: 'dueWeek',
    query: { dueAfter: day(-1), dueBefore: day(7) },
    where: `due_date > '${day(-1)}' and due_date < '${day(7)}'`,
  },
  // The vocabulary is written in the order of its frequency.
  ...['common', 'frequent', 'middle', 'rare', 'none'].map((word) => ({
    query: { q: word },
    where: `' ' || title || ' ' || description || ' ' like '% ${word} %'`,
  })),
];
const sorts: Record<string, { orderBy: string; key?: string }> = {
  createdAt: { orderBy: 'id' },
  '-createdAt': { orderBy: 'id desc' },
  dueDate: { orderBy: 'due_date nulls last, id', key: 'due_date' },
  '-dueDate': { orderBy: 'due_date desc nulls last, id desc', key: 'due_date' },
  '-updatedAt': { orderBy: 'updated_at desc, id desc', key: 'updated_at' },
  priority: { orderBy: 'priority desc, id desc', key: 'priority' },
};

/** One request of every round. */
interface Case {
  name: string;
  /** Whether one index has exactly these tasks in this order. */
  natural: boolean;
  url: string;
  timesMs: number[];
  /** Of PostgreSQL, where the system tells. */
  cpuMs: number[];
  failures: number;
}

interface Site {
  size: number;
  url: string;
  database: pg.Client;
  service: ChildProcess;
  cases: Case[];
  getTask: Case;
  taskIds: string[];
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const dataDir = await mkdtemp(join(tmpdir(), 'task-manager-bench-'));
// When root starts it, PostgreSQL runs as another user.
await chmod(dataDir, 0o755);
const postgres = await startPostgres({ dataDir });
const sites: Site[] = [];
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void stop().finally(() => process.exit(1)));
try {
  for (const size of sizes) {
    say(`Creating ${size} tasks …`);
    await open(size, postgres);
  }
  const largest = sites.at(-1) as Site;
  for (const site of sites) await addCases(site, site !== largest);
  // Separately, so that every service has the same number of requests.
  for (let round = -warmUpRounds; round < rounds; round++) await runRound(sites, true, round);
  for (let round = -warmUpRounds; round < rounds; round++) await runRound([largest], false, round);
  report(sites, largest);
} finally {
  await stop();
}

async function stop(): Promise<void> {
  agent.destroy();
  for (const { service, database } of sites) {
    service.kill('SIGKILL');
    if (service.exitCode === null && service.signalCode === null) await once(service, 'exit');
    await database.end().catch(() => undefined);
  }
  await postgres.stop();
  await rm(postgres.dataDir, { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}

/** A database with `size` tasks, and the service on it. */
async function open(size: number, { host, port, user, password }: Postgres): Promise<void> {
  const name = `tasks_${size}`;
  await createDatabase({ port }, name, ['task-service']);
  const database = new pg.Client({ host, port, user, password, database: name, ssl: false });
  await database.connect();
  const listenPort = await getPort();
  const service = spawn(process.execPath, ['services/task-service/dist/main.js'], {
    stdio: 'inherit',
    env: {
      PORT: String(listenPort),
      METRICS_PORT: String(await getPort()),
      POSTGRES_HOST: host,
      POSTGRES_PORT: String(port),
      POSTGRES_DB: name,
      POSTGRES_USER: 'task_service',
      POSTGRES_PASSWORD: 'task_service',
      LOG_LEVEL: 'fatal',
    },
  });
  const url = `http://127.0.0.1:${listenPort}`;
  const site: Site = { size, url, database, service, cases: [], getTask: newCase('getTask', '', false), taskIds: [] };
  sites.push(site);
  await until(async () => (await ask(`${url}/health`).catch(() => undefined))?.status === 200);
  await seed(database, size);
  const { rows } = await database.query<{ id: string }>(
    'select id from task_service.tasks order by random() limit 1000',
  );
  site.taskIds = rows.map(({ id }) => id);
}

/** Two years of a team's tasks: most are done, and a few users, labels and words are in most of them. */
async function seed(database: pg.Client, size: number): Promise<void> {
  const { rows: indexes } = await database.query<{ name: string; definition: string }>(
    `select indexrelid::regclass as name, pg_get_indexdef(indexrelid) as definition
     from pg_index where indrelid = 'task_service.tasks'::regclass and not indisprimary`,
  );
  // An index is created faster when the rows exist.
  for (const { name } of indexes) await database.query(`drop index ${name}`);
  await database.query(`
    select setseed(0.5);
    set maintenance_work_mem = '512MB';
    set work_mem = '256MB';
    insert into task_service.assignees (id)
      select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid from generate_series(0, 999) as n;

    -- The word of rank n is 1/n as frequent as the first.
    create temporary table word as
      select n, case n when 1 then 'common' when 40 then 'frequent' when 400 then 'middle'
        else (array['ba','co','di','fu','ga','ho','je','ki','lo','mu'])[1 + n % 10]
          || (array['n','r','s','t','l','m','p','k','d','v'])[1 + n / 10 % 10]
          || (array['a','e','i','o','u','ar','el','in','on','us'])[1 + n / 100 % 10]
          || (array['ta','re','mi','so','lu'])[1 + n / 1000 % 5] end as text
      from generate_series(1, 5000) as n;
    create temporary table sentence as
      select s as number, string_agg(text, ' ') as text
      from (select s, floor(5000 ^ random())::int as n from generate_series(1, 20000) as s, generate_series(1, 7)) as drawn
      join word using (n)
      group by s;
    analyze sentence;
  `);
  await database.query(
    `insert into task_service.tasks (id, title, description, created_at, updated_at, status, completed_at, priority, due_date,
       assignee_id, labels, search)
     select id, title.text, description, created_at, case when changed < 0.5 then created_at else updated_at end,
       status, case status when 'done' then updated_at end, priority, due_date, assignee_id, labels,
       to_tsvector('simple', title.text || ' ' || description)
     from (
       select n, id, uuid_extract_timestamp(id) as created_at,
         uuid_extract_timestamp(id) + random() * random() * interval '60 days' as updated_at, random() as changed,
         (array['todo','todo','todo','in-progress','done','done','done','done','done','done'])[1 + floor(random() * 10)]
           as status,
         (array['low','normal','normal','normal','high'])[1 + floor(random() * 5)]::task_service.priority as priority,
         case when random() < 0.7 then current_date - 365 + floor(random() * 730)::int end as due_date,
         case when random() < 0.8
           then ('00000000-0000-7000-8000-' || lpad(floor(1000 * random() * random())::text, 12, '0'))::uuid end
           as assignee_id,
         array(select case label when 0 then 'common' else 'label ' || label end
           from (select floor(50 * random() ^ 2) as label from generate_series(1, floor(random() * 4)::int + n * 0)) as label)
           || case n % 50000 when 9 then array['rare'] else '{}' end as labels,
         1 + floor(random() * 20000) as t, 1 + floor(random() * 20000) as a,
         1 + floor(random() * 30000) as b, 1 + floor(random() * 40000) as c
       from (select n, uuidv7((n - $1) * (interval '730 days' / $1)) as id from generate_series(1, $1::int) as n)
     ) as task
     join sentence as title on title.number = t
     left join sentence as first on first.number = a
     left join sentence as second on second.number = b
     left join sentence as third on third.number = c
     cross join lateral concat_ws(' ', first.text, second.text, third.text, case n % 50000 when 7 then 'rare' end)
       as description
     order by id`,
    [size],
  );
  for (const { definition } of indexes) await database.query(definition);
  await database.query('vacuum (analyze) task_service.tasks');
  await database.query('checkpoint');
}

async function addCases(site: Site, naturalOnly: boolean): Promise<void> {
  const { database, url, cases } = site;
  for (const { query, where, name } of filters) {
    const filter = name ?? new URLSearchParams(query).toString();
    await database.query(`create temporary table fitting as
      select id, due_date::text, updated_at, priority from task_service.tasks where ${where}`);
    for (const [sort, { orderBy, key }] of Object.entries(sorts)) {
      const natural = isNatural(Object.keys(query).join(), sort);
      if (naturalOnly && !natural) continue;
      const list = `${url}/tasks?${new URLSearchParams({ ...query, sort }).toString()}`;
      const title = [filter, `sort=${sort}`].filter((part) => part).join(' ');
      const idsFrom = async (offset: number) => {
        const { rows } = await database.query<{ id: string; key: string | Date | null }>(
          `select id, ${key ?? 'null'} as key from fitting order by ${orderBy} offset ${offset} limit ${pageSize + 1}`,
        );
        return rows;
      };
      const first = await idsFrom(0);
      // Half a page costs less.
      if (naturalOnly && first.length < pageSize) continue;
      cases.push(newCase(`${title} first`, list, natural));
      const { nextCursor } = await check(
        list,
        first.slice(0, pageSize).map(({ id }) => id),
      );
      if (!nextCursor) continue;
      const { rows } = await database.query<{ count: string }>('select count(*) from fitting');
      const [before, ...page] = await idsFrom(Math.floor(Number(rows[0]?.count) / 2));
      if (!before) continue;
      // The cursor that a client receives on its way to the middle.
      const [listName] = JSON.parse(Buffer.from(nextCursor, 'base64url').toString()) as unknown[];
      const place = [listName, before.id, before.key];
      const middle = `${list}&cursor=${Buffer.from(JSON.stringify(place)).toString('base64url')}`;
      await check(
        middle,
        page.map(({ id }) => id),
      );
      if (naturalOnly && page.length < pageSize) continue;
      cases.push(newCase(`${title} middle`, middle, natural));
    }
    await database.query('drop table fitting');
  }
}

function isNatural(filter: string, sort: string): boolean {
  if (filter === '') return true;
  if (filter.startsWith('due')) return sort.endsWith('dueDate');
  return ['status', 'assigneeId'].includes(filter) && sort.endsWith('createdAt');
}

/** Throws unless the page has exactly these tasks. A timeout counts as a failure only when it is measured. */
async function check(url: string, ids: string[]): Promise<{ nextCursor?: string }> {
  const { status, body } = await ask(url);
  if (status === 503) {
    say(`503 for ${url}`);
    return {};
  }
  const page = JSON.parse(body) as { items: { id: string }[]; nextCursor: string };
  const found = page.items.map(({ id }) => id);
  if (found.join() !== ids.join()) throw new Error(`${url} returned other tasks than PostgreSQL:\n${body}`);
  return page;
}

function newCase(name: string, url: string, natural: boolean): Case {
  return { name, natural, url, timesMs: [], cpuMs: [], failures: 0 };
}

/** Every case once in each table, with getTask in between; each round starts at another case. */
async function runRound(sites: Site[], natural: boolean, round: number): Promise<void> {
  const turns = sites.flatMap((site) =>
    site.cases
      .filter((each) => each.natural === natural)
      .map((each, index, { length }) => ({ site, each, place: index / length })),
  );
  turns.sort((a, b) => a.place - b.place);
  const start = Math.floor(((round + warmUpRounds) / (rounds + warmUpRounds)) * turns.length);
  const backends = new Map<Site, number[]>();
  for (const site of sites) backends.set(site, await backendsOf(site));
  for (const [index, { site, each }] of [...turns.slice(start), ...turns.slice(0, start)].entries()) {
    const pids = backends.get(site) ?? [];
    await time(site, each, each.url, pids, round);
    if (index % 2 === 0) {
      const id = site.taskIds[(index + round + warmUpRounds) % site.taskIds.length] as string;
      await time(site, site.getTask, `${site.url}/tasks/${id}`, pids, round);
    }
  }
}

async function backendsOf({ database }: Site): Promise<number[]> {
  const { rows } = await database.query<{ pid: number }>(
    'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  return rows.map(({ pid }) => pid);
}

async function time(site: Site, each: Case, url: string, pids: number[], round: number): Promise<void> {
  const cpuBefore = cpuMsOf(pids);
  const startedAt = performance.now();
  const { status } = await ask(url);
  const timeMs = performance.now() - startedAt;
  const cpuAfter = cpuMsOf(pids);
  if (round < 0) return;
  each.timesMs.push(timeMs);
  if (cpuBefore !== undefined && cpuAfter !== undefined) each.cpuMs.push(cpuAfter - cpuBefore);
  if (status === 200) return;
  each.failures++;
  // After a timeout the service replaces its connection.
  pids.splice(0, pids.length, ...(await backendsOf(site)));
}

/** Linux counts CPU time in nanoseconds; undefined elsewhere. */
function cpuMsOf(pids: number[]): number | undefined {
  try {
    return (
      pids.reduce((sum, pid) => sum + Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e6
    );
  } catch {
    return undefined;
  }
}

function ask(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
      });
      response.on('error', reject);
    }).on('error', reject);
  });
}

function report(sites: Site[], largest: Site): void {
  const baseMs = quantile(largest.getTask.timesMs, 0.95);
  const rows = [largest.getTask, ...largest.cases].map((each) => ({
    list: each.name,
    natural: each.natural,
    p50Ms: quantile(each.timesMs, 0.5),
    p95Ms: quantile(each.timesMs, 0.95),
    ratio: quantile(each.timesMs, 0.95) / baseMs,
    postgresCpuMs: quantile(each.cpuMs, 0.5),
    failures: each.failures,
    // The median cost as a multiple of the cost in each smaller table.
    flatness: sites.slice(0, -1).flatMap(({ size, cases }) => {
      const there = cases.find(({ name }) => name === each.name);
      if (!there) return [];
      const time = quantile(each.timesMs, 0.5) / quantile(there.timesMs, 0.5);
      return { size, time, postgresCpu: quantile(each.cpuMs, 0.5) / quantile(there.cpuMs, 0.5) };
    }),
  }));
  const slow = rows.filter(({ ratio }) => ratio > bound);
  const natural = rows.filter((row) => row.natural);
  const steep = natural.filter(({ flatness }) => flatness.some(({ time }) => Math.abs(time - 1) > tolerance));
  if (asJson) {
    console.log(JSON.stringify({ sizes, rounds, rows }, null, 2));
    return;
  }
  const smaller = sizes.slice(0, -1).map((size) => `time, CPU against ${size}`);
  console.log(['p50 ms', 'p95 ms', 'ratio', 'CPU ms', '503s', 'list', ...smaller].join('\t'));
  for (const { list, p50Ms, p95Ms, ratio, postgresCpuMs, failures, flatness } of rows) {
    const against = flatness.map(({ time, postgresCpu }) => `${time.toFixed(2)}, ${postgresCpu.toFixed(2)}`);
    const numbers = [p50Ms, p95Ms, ratio, postgresCpuMs].map((number) => number.toFixed(2));
    console.log([...numbers, failures, list, ...against].join('\t'));
  }
  console.log(
    `${rows.length - 1} pages of ${largest.size} tasks: ${slow.length} past ${bound} x getTask at p95; of the ` +
      `${natural.length} that one index orders, ${steep.length} not within ${tolerance * 100} % of a smaller table.`,
  );
}

function day(offset: number): string {
  return new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);
}

function say(line: string): void {
  console.error(line);
}
