/**
 * `npm run scorecard [-- --write] [-- --overload SECONDS]`: what the running system makes of bad inputs, slow clients,
 * faults of its database, stops, and twice as many requests as it can answer, as a table with what is promised. It starts
 * a system of its own and takes about five minutes; `--overload 600` overloads it for ten minutes instead of one, with
 * as long in between, and takes 26. `--write` puts the table into README.md. Exit code 1 when a promise is broken.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import getPort from 'get-port';
import { format, resolveConfig } from 'prettier';
import { Stage, type StagedReplica } from '../chaos/system-under-test.ts';
import { checkHealth } from '@task-manager/dev/gateway';
import { strike } from './faults.ts';
import { tryInputs } from './invalid-input.ts';
import type { Outcome } from './load.ts';
import { goodOf, overload, type Round } from './overload.ts';
import { outlast } from './slow-clients.ts';
import { stopEach } from './graceful-stop.ts';
import { commandOf } from '@task-manager/dev/system';
import { runToEnd } from '@task-manager/dev/command';

interface Figure {
  name: string;
  measured: number;
  /** The most that it may be; or the least. */
  most?: number;
  least?: number;
  unit?: string;
  /** What was wrong. */
  details?: string[];
}

const detailsShown = 6;
const plainSeconds = 15;
const { values } = parseArgs({ options: { write: { type: 'boolean' }, overload: { type: 'string', default: '60' } } });

await runToEnd('npm run scorecard', async (stopped) => {
  const stage = new Stage();
  const figures: Figure[] = [];
  try {
    say('Starting PostgreSQL, two replicas of each service and the gateway …');
    await stage.open(stopped);
    figures.push(...(await measureInputs(stage)));
    figures.push(...(await measureSlowClients(stage)));
    figures.push(...(await measureStops(stage, stopped)));
    figures.push(...(await measureFaults(stage, stopped)));
    figures.push(...(await measureOverload(stage, Number(values.overload))));
  } finally {
    await stage.close();
  }
  show(figures);
  if (values.write) await writeDown(figures);
  if (!figures.every(isKept)) process.exitCode = 1;
});

async function measureInputs({ url, replicas }: Stage): Promise<Figure[]> {
  say('Bad inputs, at the gateway and at a replica …');
  const { sent, failed, withoutProblem, altered } = await tryInputs([url, taskReplica(replicas).url]);
  return [
    { name: `Of ${sent} bad or easily altered inputs answered with 5xx, or not at all`, ...none(failed) },
    { name: 'refused without a problem (RFC 9457)', ...none(withoutProblem) },
    { name: 'accepted though wrong, or stored otherwise', ...none(altered) },
  ];
}

async function measureSlowClients({ replicas }: Stage): Promise<Figure[]> {
  say('Slow clients …');
  const { sockets, secondsByKind, failed, served } = await outlast(taskReplica(replicas).url);
  const details = Object.entries(secondsByKind).map(([kind, seconds]) => `${kind}: ${seconds.toFixed(1)} s`);
  const slowest = Math.max(...Object.values(secondsByKind));
  return [
    { name: `Until the last of ${sockets} slow sockets is gone`, measured: slowest, most: 8, unit: 's', details },
    { name: `of ${served + failed} other requests meanwhile, failed`, measured: failed, most: 0 },
  ];
}

async function measureStops(stage: Stage, stopped: AbortSignal): Promise<Figure[]> {
  say('SIGTERM under load …');
  const { requests, broken, codes } = await stopEach(stage, stopped);
  return [
    { name: `Of ${requests} requests broken while each replica is stopped`, ...none(broken) },
    { name: 'replicas that ended otherwise than with code 0', ...none(codes) },
  ];
}

async function measureFaults(stage: Stage, stopped: AbortSignal): Promise<Figure[]> {
  const result = await strike(stage, stopped, (fault) => {
    say(`Fault: ${fault} …`);
  });
  const { faults, acknowledged, lost, doubled, wrong, slowestMs, slowestIn, recoveryMs } = result;
  return [
    { name: `Of ${acknowledged} tasks acknowledged during ${faults} faults, lost`, measured: lost, most: 0 },
    { name: 'stored twice', measured: doubled, most: 0 },
    { name: 'answers that were neither good nor 503 with Retry-After', ...none(wrong) },
    { name: 'Slowest answer in a fault', measured: slowestMs / 1000, most: 2, unit: 's', details: [slowestIn] },
    { name: 'Until the first good answer once PostgreSQL accepts', measured: recoveryMs, most: 100, unit: 'ms' },
  ];
}

/** On a replica as it is deployed: the others hold each answer to the contract. */
async function measureOverload(stage: Stage, seconds: number): Promise<Figure[]> {
  say('Overload …');
  const port = await getPort();
  const child = spawn(process.execPath, commandOf('task-service'), {
    env: {
      ...stage.environmentOf('task-service'),
      PATH: process.env.PATH,
      PORT: String(port),
      METRICS_PORT: String(await getPort()),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    while ((await checkHealth(port)) !== 'ready') await sleep(50);
    const replica = { port, pid: child.pid ?? 0 };
    const { rounds, healthMs, startMb, endMb } = await overload(replica, { seconds, keyed: true }, say);
    const plain = await overload(replica, { seconds: plainSeconds, keyed: false }, say);
    const outcomes = rounds.map(({ outcome }) => outcome);
    const statuses = outcomes.flatMap(({ perSecond }) => Object.keys(perSecond));
    return [
      {
        name: 'Goodput at twice the capacity',
        measured: mean(rounds.map(goodput)),
        least: 90,
        unit: '%',
        details: [`with a key each: ${describe(rounds)}`, `without: ${describe(plain.rounds)}`],
      },
      {
        name: 'Slowest refusal',
        measured: Math.max(...outcomes.map(({ refusedMs }) => refusedMs.most)),
        most: 50,
        unit: 'ms',
      },
      { name: 'refusals without Retry-After', measured: sum(outcomes.map((each) => each.withoutRetryAfter)), most: 0 },
      {
        name: 'other answers than 201 and a refusal',
        ...none(statuses.filter((status) => !['201', '503'].includes(status))),
      },
      { name: 'Slowest /health meanwhile', measured: healthMs, most: 100, unit: 'ms' },
      {
        name: `Memory after ${seconds} s of it, against the start`,
        measured: (endMb / startMb - 1) * 100,
        most: 20,
        unit: '%',
        details: [`${startMb.toFixed(0)} MB to ${endMb.toFixed(0)} MB`],
      },
    ];
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

/** In percent of the best. */
function goodput({ outcome, best }: Round): number {
  return (goodOf(outcome) / best) * 100;
}

function describe(rounds: Round[]): string {
  const meanOf = (of: (round: Round) => number) => mean(rounds.map(of)).toFixed(0);
  const mostOf = (of: (outcome: Outcome) => number) => Math.max(...rounds.map(({ outcome }) => of(outcome))).toFixed(0);
  return [
    `${meanOf(({ outcome }) => goodOf(outcome))} of ${meanOf(({ offered }) => offered)} a second`,
    `at best ${meanOf(({ best }) => best)}`,
    `good p50 ${meanOf(({ outcome }) => outcome.goodMs.p50)} ms, p99 ${mostOf(({ goodMs }) => goodMs.p99)} ms at most`,
    `refused p99 ${mostOf(({ refusedMs }) => refusedMs.p99)} ms at most`,
    `not sent ${mostOf(({ unsent }) => unsent)} at most`,
    `by round ${rounds.map((round) => goodput(round).toFixed(0)).join(' ')} %`,
  ].join('; ');
}

function taskReplica(replicas: StagedReplica[]): StagedReplica {
  return replicas.find(({ service }) => service === 'task-service') as StagedReplica;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function mean(numbers: number[]): number {
  return sum(numbers) / numbers.length;
}

function none(wrong: string[]): Pick<Figure, 'measured' | 'most' | 'details'> {
  return { measured: wrong.length, most: 0, details: [...new Set(wrong)] };
}

function isKept({ measured, most = Infinity, least = -Infinity }: Figure): boolean {
  return measured <= most && measured >= least;
}

function show(figures: Figure[]): void {
  const rows = rowsOf(figures);
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [number, [name, target, measured, verdict]] of rows.entries()) {
    console.log(`${name.padEnd(width)}  ${target.padStart(10)}  ${measured.padStart(10)}  ${verdict}`);
    for (const detail of figures[number - 1]?.details?.slice(0, detailsShown) ?? []) console.log(`    ${detail}`);
  }
}

type Row = [name: string, target: string, measured: string, verdict: string];

function rowsOf(figures: Figure[]): Row[] {
  const rows = figures.map((figure): Row => {
    const { name, measured, most, least, unit = '' } = figure;
    const digits = unit === 's' ? 2 : unit === '%' ? 1 : 0;
    const inUnit = (value: number) => `${Number(value.toFixed(digits))} ${unit}`.trim();
    const target = least === undefined ? (most === 0 ? '0' : `≤ ${inUnit(most ?? 0)}`) : `≥ ${inUnit(least)}`;
    return [name, target, inUnit(measured), isKept(figure) ? 'kept' : 'missed'];
  });
  return [['', 'target', 'measured', ''], ...rows];
}

/** Puts the table into README.md, between the comments that keep its place. */
async function writeDown(figures: Figure[]): Promise<void> {
  const [begin, end] = ['<!-- npm run scorecard -->', '<!-- end of npm run scorecard -->'];
  const readme = await readFile('README.md', 'utf8');
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md has no place for it: ${begin} and ${end}`);
  const [header, ...rows] = rowsOf(figures).map((cells) => `| ${cells.join(' | ')} |`);
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node.js ${process.versions.node}`;
  const date = new Date().toISOString().slice(0, 10);
  const table = [header, '| --- | ---: | ---: | --- |', ...rows].join('\n');
  const text = `${readme.slice(0, from + begin.length)}\n\n${date}, ${machine}:\n\n${table}\n\n${readme.slice(to)}`;
  await writeFile('README.md', await format(text, { ...(await resolveConfig('README.md')), filepath: 'README.md' }));
}

function say(line: string): void {
  console.error(line);
}
