/** The report of a run: tables, ratios with targets, and the files that `--write` updates. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { arch, cpus, release, type } from 'node:os';
import type pg from 'pg';
import { format, resolveConfig } from 'prettier';
import { alignedTable, markdownTable } from '@task-manager/testing/tables';
import { loadNames, type LoadName } from './load-generator.ts';

/** Medians of the samples of one server, load and number of connections. Unknown values are NaN. */
export interface Result {
  /** Its key; of the floors, their load; or pgbench. */
  server: string;
  load: LoadName;
  connections: number;
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU time for one request: of the server, of PostgreSQL, and of the load generator. */
  serverCpuUs: number;
  postgresCpuUs: number;
  loadCpuUs: number;
  /** Of the server, after the sample. */
  rssMb: number;
  /** The CPU share that other processes have used. */
  disturbance: number;
  /** Failed requests in all samples. */
  errors: number;
}

export interface Run {
  date: string;
  versions: Record<string, string>;
  machine: string;
  /** Whether servers had one CPU, and PostgreSQL and the load another. */
  pinned: boolean;
  rounds: number;
  sampleSeconds: number;
  leftOut: string[];
  /** Samples that were repeated because other processes were busy. */
  retaken: number;
  /** Writes acknowledged by all servers, and how the tables differ, one line each. */
  writes: number;
  differences: string[];
  results: Result[];
}

/** A ratio and its targets. */
interface Figure {
  name: string;
  value: number;
  must: number;
  stretch: number;
  /** Whether less is better. */
  atMost?: true;
  verdict: 'stretch' | 'met' | 'missed' | 'not measured';
}

const names: Record<string, string> = {
  product: 'task-service',
  plain: 'task-service, no fast path',
  paths: 'task-service, 30 more paths',
  gateway1: 'task-service behind the gateway',
  gateway2: 'two of them behind the gateway',
  fastify: 'Fastify + pg',
  express: 'Express + EOV + pg',
  http: 'node:http + pg, no validation',
  go: 'Go net/http + pgx',
  echo: 'floor: node:http echo, no database',
  page: 'floor: constant page',
  health: 'floor: constant health',
  pgbench: 'floor: pgbench, 10 connections',
};

const titles: Record<(typeof loadNames)[number], string> = {
  POST: 'POST /tasks',
  list: 'GET /tasks, 50 of them',
  get: 'GET /tasks/{taskId}',
  PATCH: 'PATCH /tasks/{taskId}',
  mixed: 'Mixed: 70 % get one, 20 % list, 10 % write',
};

/** Where each floor is compared. */
const floorOf: Partial<Record<LoadName, LoadName>> = { POST: 'echo', list: 'page', get: 'health' };
const usualConnections = 64;

/** Date, versions and machine. */
export async function describeRun(db: pg.Client): Promise<Pick<Run, 'date' | 'versions' | 'machine'>> {
  const { dependencies } = JSON.parse(await readFile('benchmarks/package.json', 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const { rows } = await db.query<{ server_version: string }>('show server_version');
  const { node } = process.versions;
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const goModule = await readFile('benchmarks/peers/go/go.mod', 'utf8');
  return {
    date: new Date().toISOString().slice(0, 10),
    versions: {
      'Node.js': node,
      PostgreSQL: rows[0]?.server_version ?? '',
      ...Object.fromEntries(
        ['express', 'express-openapi-validator', 'fastify', 'pg'].map((name) => [name, dependencies[name] ?? '']),
      ),
      pgx: /pgx\/v5 v(\S+)/.exec(goModule)?.[1] ?? '',
    },
    machine: `${cpus().length} × ${model}, ${type()} ${release().split('-', 1)[0]} ${arch()}`,
  };
}

/** Ratios of medians, at 64 connections unless they name another number. */
export function figuresOf({ results }: Run): Figure[] {
  const find = (server: string, load: LoadName, connections = usualConnections) =>
    results.find((each) => each.server === server && each.load === load && each.connections === connections);
  const rate = (server: string, load: LoadName) => find(server, load)?.requestsPerSecond ?? NaN;
  const faster = (server: string, other: string, load: LoadName) =>
    rate(server, load) / rate(other, other === floorOf[load] ? other : load);
  const cpu = (server: string) => {
    const { serverCpuUs = NaN, postgresCpuUs = NaN } = find(server, 'POST') ?? {};
    return serverCpuUs + postgresCpuUs;
  };
  const moreCpu = (server: string, load: LoadName) =>
    (find(server, load)?.serverCpuUs ?? NaN) / (find('product', load)?.serverCpuUs ?? NaN);
  const second = (load: LoadName) => rate('gateway2', load) / rate('gateway1', load);
  const p50 = (server: string) => find(server, 'POST', 1)?.p50Ms ?? NaN;
  const atLeast = (name: string, value: number, must: number, stretch: number) => judge({ name, value, must, stretch });
  const atMost = (name: string, value: number, must: number, stretch: number) =>
    judge({ name, value, must, stretch, atMost: true });
  return [
    atLeast('POST against Fastify, requests/s', faster('product', 'fastify', 'POST'), 3, 3.5),
    atLeast('POST against Go, requests/s', faster('product', 'go', 'POST'), 2.2, 3),
    atMost('POST against Fastify, CPU of server and PostgreSQL', cpu('product') / cpu('fastify'), 1 / 3.5, 1 / 4.5),
    atLeast('POST against an echo without a database', faster('product', 'echo', 'POST'), 0.55, 0.75),
    atLeast('List of 50 against Fastify', faster('product', 'fastify', 'list'), 7, 8),
    atLeast('List of 50 against a constant page', faster('product', 'page', 'list'), 0.75, 0.95),
    atLeast('Get one against Fastify', faster('product', 'fastify', 'get'), 2, 2.5),
    atLeast('Get one against a constant health', faster('product', 'health', 'get'), 0.75, 0.85),
    atLeast('No fast path: POST against Fastify', faster('plain', 'fastify', 'POST'), 1.7, 2),
    atLeast('No fast path: list of 50 against Fastify', faster('plain', 'fastify', 'list'), 4, 5),
    atLeast('No fast path: get one against Fastify', faster('plain', 'fastify', 'get'), 1.1, 1.5),
    atMost(
      '1 connection: p50 of POST against Fastify',
      p50('product') / p50('fastify'),
      1.05,
      p50('go') / p50('fastify'),
    ),
    atMost('30 more paths: CPU of the server for get one', moreCpu('paths', 'get'), 1.05, 1),
    atLeast('Two replicas behind the gateway against one behind it: mixed', second('mixed'), 0.95, 1),
    atMost('256 connections: memory of task-service, MB', find('product', 'POST', 256)?.rssMb ?? NaN, 120, 120),
  ];
}

function judge(figure: Omit<Figure, 'verdict'>): Figure {
  const { value, must, stretch, atMost } = figure;
  const keeps = (bound: number) => (atMost ? value <= bound : value >= bound);
  if (Number.isNaN(value)) return { ...figure, verdict: 'not measured' };
  return { ...figure, verdict: !keeps(must) ? 'missed' : keeps(stretch) ? 'stretch' : 'met' };
}

/** Every measured value, as plain text. */
export function tablesOf(run: Run): string {
  const parts = loadNames.map((load) => `${titles[load]}\n\n${alignedTable(rowsOf(run, load))}`);
  return [...parts, `Targets\n\n${alignedTable(figureRows(run))}`, conditionsOf(run)].join('\n\n');
}

function rowsOf(run: Run, load: LoadName): string[][] {
  const header = ['connections', 'server', 'requests/s', 'against Fastify', 'p50 ms', 'p99 ms'];
  const more = ['server µs', 'PostgreSQL µs', 'load µs', "server's CPU", 'other CPU', 'others', 'MB', 'failed'];
  const shown = run.results
    .filter((each) => each.load === load || each.load === floorOf[load])
    .sort((a, b) => a.connections - b.connections);
  const rows = shown.map((each) => {
    const fastify = shown.find(({ server, connections }) => server === 'fastify' && connections === each.connections);
    const share = (us: number) => percent((us * each.requestsPerSecond) / 1e6);
    return [
      String(each.connections),
      names[each.server] ?? each.server,
      each.requestsPerSecond.toFixed(0),
      show(each.requestsPerSecond / (fastify?.requestsPerSecond ?? NaN), 2),
      show(each.p50Ms, 2),
      show(each.p99Ms, 2),
      show(each.serverCpuUs, 1),
      show(each.postgresCpuUs, 1),
      show(each.loadCpuUs, 1),
      share(each.serverCpuUs),
      share(each.postgresCpuUs + each.loadCpuUs),
      percent(each.disturbance),
      show(each.rssMb, 0),
      String(each.errors),
    ];
  });
  return [[...header, ...more], ...rows];
}

function figureRows(run: Run): string[][] {
  const rows = figuresOf(run).map(({ name, value, must, stretch, atMost, verdict }) => {
    const bound = (number: number) =>
      Number.isNaN(number) ? '' : `${atMost ? '≤' : '≥'} ${Number(number.toFixed(2))}`;
    return [name, show(value, 2), bound(must), bound(stretch), verdict];
  });
  return [['ratio', 'measured', 'must', 'stretch', ''], ...rows];
}

function conditionsOf(run: Run): string {
  const versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`);
  const place = run.pinned
    ? 'Each server on one CPU, PostgreSQL and the load on another.'
    : 'Servers were not pinned to a CPU: the system or the machine does not allow it.';
  const disturbances = run.results.map(({ disturbance }) => disturbance).filter((each) => !Number.isNaN(each));
  const most = Math.max(...disturbances);
  return [
    `${run.date}, ${versions.join(', ')}; ${run.machine}.`,
    `Medians of ${run.rounds} rounds of ${run.sampleSeconds} s each, PostgreSQL durable as it comes. ${place}`,
    ...(disturbances.length > 0
      ? [
          `${run.retaken} samples were repeated because other processes were busy; in the medians they used up to ${percent(most)} of a CPU.`,
        ]
      : []),
    `${run.writes} writes were acknowledged${run.differences.length > 0 ? '' : ', and found in the tables'}.`,
    ...run.differences,
    ...run.leftOut,
  ].join('\n');
}

function show(number: number, digits: number): string {
  return Number.isNaN(number) ? '' : number.toFixed(digits);
}

function percent(share: number): string {
  return Number.isNaN(share) ? '' : `${(share * 100).toFixed(0)} %`;
}

/** Puts the run into `benchmarks/results/` and, in the place of this Node.js, into `benchmarks/README.md`. */
export async function writeResults(run: Run): Promise<void> {
  const name = `node-${process.versions.node.split('.')[0]}`;
  await mkdir('benchmarks/results', { recursive: true });
  await writeFile(`benchmarks/results/${name}.svg`, chartOf(run));
  const all = loadNames.map((load) => `## ${titles[load]}\n\n${markdownTable(rowsOf(run, load))}`);
  const tables = [`# npm run bench on Node.js ${process.versions.node}`, conditionsOf(run), ...all].join('\n\n');
  await writeFormatted(`benchmarks/results/${name}.md`, tables);

  const readme = await readFile('benchmarks/README.md', 'utf8');
  const [begin, end] = [`<!-- npm run bench, ${name} -->`, `<!-- end of ${name} -->`];
  const section = [
    begin,
    `## ${run.date}: the task service and its peers, Node.js ${process.versions.node}`,
    conditionsOf(run),
    `![Requests a second of each server, for each load](results/${name}.svg)`,
    markdownTable(figureRows(run)),
    `Every load at every number of connections: [results/${name}.md](results/${name}.md).`,
    end,
  ].join('\n\n');
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  // The first section of a version goes before this marker.
  const next = '<!-- next npm run bench -->';
  const changed =
    from >= 0 && to > from
      ? readme.slice(0, from) + section + readme.slice(to + end.length)
      : readme.replace(next, () => `${section}\n\n${next}`);
  await writeFormatted('benchmarks/README.md', changed);
}

async function writeFormatted(path: string, text: string): Promise<void> {
  await writeFile(path, await format(text, { ...(await resolveConfig(path)), filepath: path }));
}

const barWidth = 420;
const labelWidth = 230;
const barHeight = 16;
const rowHeight = 22;

/** Bars of requests per second at 64 connections, one group per load, for light and dark backgrounds. */
function chartOf({ results }: Run): string {
  let y = 0;
  const parts = loadNames.map((load) => {
    const shown = results.filter(
      (each) =>
        (each.load === load || each.load === floorOf[load]) &&
        (each.connections === usualConnections || each.server === 'pgbench'),
    );
    const most = Math.max(...shown.map(({ requestsPerSecond }) => requestsPerSecond));
    const title = `<text class="title" y="${(y += 30)}">${titles[load]}</text>`;
    y += 10;
    const bars = shown.map(({ server, requestsPerSecond }) => {
      const width = Math.max(1, Math.round((requestsPerSecond / most) * barWidth));
      const kind =
        server in { product: 1, plain: 1, paths: 1, gateway1: 1, gateway2: 1 }
          ? 'product'
          : server in { echo: 1, page: 1, health: 1, pgbench: 1 }
            ? 'floor'
            : 'peer';
      const bar =
        `<text x="${labelWidth - 8}" y="${y + 12}" text-anchor="end">${names[server] ?? server}</text>` +
        `<rect class="${kind}" x="${labelWidth}" y="${y}" width="${width}" height="${barHeight}" rx="2"/>` +
        `<text x="${labelWidth + width + 6}" y="${y + 12}">${Math.round(requestsPerSecond).toLocaleString('en')}</text>`;
      y += rowHeight;
      return bar;
    });
    return [title, ...bars].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 ${y + 10}" width="720" height="${y + 10}" role="img" aria-label="Requests a second">
<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.product { fill: #0969da } .peer { fill: #8c959f } .floor { fill: #d0d7de }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .product { fill: #4493f8 } .peer { fill: #768390 } .floor { fill: #444c56 }
}
</style>
${parts.join('\n')}
</svg>
`;
}
