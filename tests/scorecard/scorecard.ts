/**
 * `npm run scorecard [-- --write] [-- --overload SECONDS]`: how the running system treats invalid input, slow clients,
 * stops, faults of its database, and twice the load that it can serve: a table of measured values and targets. It starts
 * a system of its own and takes about five minutes. `--overload 600` measures overload for ten minutes instead of one,
 * and takes 26. `--write` puts the table into README.md. Exits with 1 when a target is missed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { runToEnd } from '@task-manager/dev/command';
import { checkHealth } from '@task-manager/dev/gateway';
import { commandOf } from '@task-manager/dev/system';
import { mean, sum } from '@task-manager/testing/statistics';
import { alignedTable, markdownTable } from '@task-manager/testing/tables';
import { until } from '@task-manager/testing/until';
import getPort from 'get-port';
import { format, resolveConfig } from 'prettier';
import { SystemUnderTest } from '@task-manager/testing/system-under-test';
import { measureUnderFaults } from './faults.ts';
import { stopReplicas } from './graceful-stop.ts';
import { sendInputs } from './invalid-input.ts';
import type { Outcome } from './overload-generator.ts';
import { overload, type Round } from './overload.ts';
import { openSlowClients } from './slow-clients.ts';

interface Figure {
  name: string;
  measured: number;
  max?: number;
  min?: number;
  unit?: string;
  details?: string[];
}

const maxDetailsShown = 6;
const unkeyedSeconds = 15;
const { values } = parseArgs({ options: { write: { type: 'boolean' }, overload: { type: 'string', default: '60' } } });
const print = console.error;

await runToEnd('npm run scorecard', async (stopped) => {
  const system = new SystemUnderTest();
  const figures: Figure[] = [];
  try {
    print('Starting PostgreSQL, two replicas of each service and the gateway …');
    await system.open(stopped);
    figures.push(...(await measureInputs(system)));
    figures.push(...(await measureSlowClients(system)));
    figures.push(...(await measureStops(system, stopped)));
    figures.push(...(await measureFaults(system, stopped)));
    figures.push(...(await measureOverload(system, Number(values.overload))));
  } finally {
    await system.close();
  }
  report(figures);
  if (values.write) await writeTable(figures);
  if (!figures.every(isMet)) process.exitCode = 1;
});

async function measureInputs(system: SystemUnderTest): Promise<Figure[]> {
  print('Invalid input, at the gateway and at a replica …');
  const { sent, failed, withoutProblem, altered } = await sendInputs([system.url, taskReplicaUrl(system)]);
  return [
    { name: `${sent} invalid or easily altered inputs: 5xx or no response`, ...none(failed) },
    { name: 'rejected without a problem document (RFC 9457)', ...none(withoutProblem) },
    { name: 'accepted although invalid, or altered', ...none(altered) },
  ];
}

async function measureSlowClients(system: SystemUnderTest): Promise<Figure[]> {
  print('Slow clients …');
  const { sockets, secondsByKind, failed, served } = await openSlowClients(taskReplicaUrl(system));
  const details = Object.entries(secondsByKind).map(([kind, seconds]) => `${kind}: ${seconds.toFixed(1)} s`);
  const slowest = Math.max(...Object.values(secondsByKind));
  return [
    { name: `Time until ${sockets} slow clients are disconnected`, measured: slowest, max: 8, unit: 's', details },
    { name: `failures of ${served + failed} other requests meanwhile`, measured: failed, max: 0 },
  ];
}

async function measureStops(system: SystemUnderTest, stopped: AbortSignal): Promise<Figure[]> {
  print('SIGTERM under load …');
  const { requests, failures, exits } = await stopReplicas(system, stopped);
  return [
    { name: `${requests} requests while each replica is stopped: failures`, ...none(failures) },
    { name: 'replicas with another exit code than 0', ...none(exits) },
  ];
}

async function measureFaults(system: SystemUnderTest, stopped: AbortSignal): Promise<Figure[]> {
  const figures = await measureUnderFaults(system, stopped, print);
  const { faults, acknowledged, lost, duplicated, wrong, slowestMs, slowestIn, recoveryMs } = figures;
  return [
    { name: `${acknowledged} tasks acknowledged under ${faults} faults: lost`, measured: lost, max: 0 },
    { name: 'stored twice', measured: duplicated, max: 0 },
    { name: 'responses other than success or 503 with Retry-After', ...none(wrong) },
    { name: 'Slowest response under a fault', measured: slowestMs / 1000, max: 2, unit: 's', details: [slowestIn] },
    { name: 'First success after PostgreSQL accepts connections', measured: recoveryMs, max: 100, unit: 'ms' },
  ];
}

/** On a replica as it is deployed: the others validate every response. */
async function measureOverload(system: SystemUnderTest, seconds: number): Promise<Figure[]> {
  const [port, metricsPort] = [await getPort(), await getPort()];
  const child = spawn(process.execPath, commandOf('task-service'), {
    env: {
      ...{ ...system.environmentOf('task-service'), PATH: process.env.PATH },
      ...{ PORT: String(port), METRICS_PORT: String(metricsPort) },
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    await until(async () => (await checkHealth(port)) === 'ready');
    const replica = { port, pid: child.pid ?? 0 };
    print('Overload, each request with an idempotency key …');
    const { rounds, healthMs, startMb, endMb } = await overload(replica, { seconds, keyed: true }, print);
    print('Overload without keys …');
    const unkeyed = await overload(replica, { seconds: unkeyedSeconds, keyed: false }, print);
    const outcomes = rounds.map(({ outcome }) => outcome);
    const statuses = outcomes.flatMap(({ perSecond }) => Object.keys(perSecond));
    const slowestMs = Math.max(...outcomes.map(({ rejectedMs }) => rejectedMs.max));
    const withoutRetryAfter = sum(outcomes.map(({ rejectedWithoutRetryAfter }) => rejectedWithoutRetryAfter));
    const growth = (endMb / startMb - 1) * 100;
    return [
      {
        ...{ name: 'Goodput at twice the capacity', measured: mean(rounds.map(goodput)), min: 90, unit: '%' },
        details: [`with idempotency keys: ${describe(rounds)}`, `without: ${describe(unkeyed.rounds)}`],
      },
      { name: 'Slowest rejection', measured: slowestMs, max: 50, unit: 'ms' },
      { name: 'rejections without Retry-After', measured: withoutRetryAfter, max: 0 },
      {
        name: 'responses other than 201 or a rejection',
        ...none(statuses.filter((status) => !['201', '503'].includes(status))),
      },
      { name: 'Slowest /health under overload', measured: healthMs, max: 100, unit: 'ms' },
      {
        ...{ name: `Memory growth in ${seconds} s of overload`, measured: growth, max: 20, unit: '%' },
        details: [`${startMb.toFixed(0)} MB to ${endMb.toFixed(0)} MB`],
      },
    ];
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

/** In percent of the capacity. */
function goodput({ outcome, capacity }: Round): number {
  return (outcome.goodPerSecond / capacity) * 100;
}

function describe(rounds: Round[]): string {
  const meanOf = (of: (round: Round) => number) => mean(rounds.map(of)).toFixed(0);
  const maxOf = (of: (outcome: Outcome) => number) => Math.max(...rounds.map(({ outcome }) => of(outcome))).toFixed(0);
  return [
    `${meanOf(({ outcome }) => outcome.goodPerSecond)} of ${meanOf(({ offered }) => offered)} requests/s served`,
    `capacity ${meanOf(({ capacity }) => capacity)}/s`,
    `served p50 ${meanOf(({ outcome }) => outcome.goodMs.p50)} ms, p99 at most ${maxOf(({ goodMs }) => goodMs.p99)} ms`,
    `rejected p99 at most ${maxOf(({ rejectedMs }) => rejectedMs.p99)} ms`,
    `at most ${maxOf(({ unsent }) => unsent)} not sent`,
    `by round ${rounds.map((round) => goodput(round).toFixed(0)).join(' ')} %`,
  ].join('; ');
}

function taskReplicaUrl(system: SystemUnderTest): string {
  return system.replicasOf('task-service')[0]?.url ?? '';
}

function none(wrong: string[]): Pick<Figure, 'measured' | 'max' | 'details'> {
  return { measured: wrong.length, max: 0, details: [...new Set(wrong)] };
}

function isMet({ measured, max = Infinity, min = -Infinity }: Figure): boolean {
  return measured <= max && measured >= min;
}

function rowsOf(figures: Figure[]): string[][] {
  const rows = figures.map((figure) => {
    const { name, measured, max = 0, min, unit = '' } = figure;
    const digits = unit === 's' ? 2 : unit === '%' ? 1 : 0;
    const inUnit = (value: number) => `${Number(value.toFixed(digits))} ${unit}`.trim();
    const target = min === undefined ? (max === 0 ? '0' : `≤ ${inUnit(max)}`) : `≥ ${inUnit(min)}`;
    return [name, target, inUnit(measured), isMet(figure) ? 'met' : 'missed'];
  });
  return [['', 'target', 'measured', ''], ...rows];
}

function report(figures: Figure[]): void {
  const [header, ...lines] = alignedTable(rowsOf(figures)).split('\n');
  console.log(header);
  for (const [index, line] of lines.entries()) {
    console.log([line, ...(figures[index]?.details?.slice(0, maxDetailsShown) ?? [])].join('\n    '));
  }
}

/** Puts the table into README.md, between the comments that mark its place. */
async function writeTable(figures: Figure[]): Promise<void> {
  const [begin, end] = ['<!-- npm run scorecard -->', '<!-- end of npm run scorecard -->'];
  const readme = await readFile('README.md', 'utf8');
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README.md needs a place for the table: ${begin} and ${end}`);
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node.js ${process.versions.node}`;
  const table = `${new Date().toISOString().slice(0, 10)}, ${machine}:\n\n${markdownTable(rowsOf(figures))}`;
  const text = `${readme.slice(0, from + begin.length)}\n\n${table}\n\n${readme.slice(to)}`;
  await writeFile('README.md', await format(text, { ...(await resolveConfig('README.md')), filepath: 'README.md' }));
}
