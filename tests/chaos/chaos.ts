/**
 * `npm run chaos -- [--seed N] [--minutes M] [--json]`: random clients under fault injection, then a consistency check.
 * Clients use two replicas of each service, directly and through the gateway, while processes, connections and PostgreSQL
 * are killed, paused and cut. Then every response is compared with the final state and with the feeds. `--seed` repeats
 * the random choices of a run, not its timing; a new seed is printed. `--minutes` is 0.5 by default. `--json` prints the
 * findings as JSON, and progress on standard error.
 *
 * Exits with 1 when a promise is broken: a wrong response, a lost or repeated change, a service that does not recover.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runToEnd } from '@task-manager/dev/command';
import { alignedTable } from '@task-manager/testing/tables';
import { faultName } from './fault-injector.ts';
import { Random } from '@task-manager/testing/random';
import { Run, type Findings } from './run.ts';
import { SystemUnderTest } from '@task-manager/testing/system-under-test';

/** Of a failed round, the first violations say enough. */
const maxViolationsShown = 5;

await runToEnd('npm run chaos', async (stopped) => {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(randomInt(1_000_000)) },
      minutes: { type: 'string', default: '0.5' },
      json: { type: 'boolean', default: false },
    },
  });
  const [seed, minutes] = [Number(values.seed), Number(values.minutes)];
  if (!Number.isInteger(seed)) throw new Error(`--seed must be an integer, not "${values.seed}"`);
  if (!(minutes > 0)) throw new Error(`--minutes must be a positive number, not "${values.minutes}"`);
  const print = values.json ? console.error : console.log;
  print(`Seed: ${seed}`);
  const system = new SystemUnderTest();
  const over = new AbortController();
  const signal = AbortSignal.any([stopped, over.signal]);
  let run: Run | undefined;
  try {
    await system.open(signal);
    run = new Run(system, new Random(seed), signal);
    await runRounds(run, minutes, signal, print);
  } finally {
    over.abort();
    await run?.close();
    await system.close();
  }
  report(run.findings, print);
  if (values.json) console.log(JSON.stringify({ seed, minutes, ...run.findings }));
  print(`\nRepeat with: npm run chaos -- --seed ${seed} --minutes ${minutes}`);
});

type Print = (line: string) => void;

/** Until the time is over, or a round has failed. */
async function runRounds(run: Run, minutes: number, signal: AbortSignal, print: Print): Promise<void> {
  const { findings } = run;
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  while (seconds() < minutes * 60 && findings.violations.length === 0) {
    try {
      const injected = await run.round();
      const time = `${seconds().toFixed(0).padStart(5)} s`;
      print(`${time}  ${findings.acknowledged} requests succeeded  ${injected.map(faultName).join(', ')}`);
    } catch (error) {
      signal.throwIfAborted();
      findings.violations.push({ what: (error as Error).message, details: [] });
    }
  }
}

function report(findings: Findings, print: Print): void {
  const { rounds, acknowledged, rejected, unknown, slowestInDatabaseFaultMs, violations } = findings;
  const inMs = (time: number | undefined) => (time === undefined ? '–' : `${Math.round(time)} ms`);
  const rows = Object.entries(findings.faults).map(([kind, { count, slowestMs, recoveryMs }]) => {
    return [kind, String(count), inMs(slowestMs), inMs(recoveryMs)];
  });
  print(`\n${alignedTable([['fault', 'count', 'slowest response', 'recovery'], ...rows])}`);
  print(
    `\n${rounds} rounds: ${acknowledged} requests succeeded, ${rejected} were rejected by a rule, ${unknown} failed`,
  );
  print(`Slowest response under a fault of the database or its network: ${inMs(slowestInDatabaseFaultMs)}`);
  print(`${violations.length} violations`);
  for (const { what, details } of violations.slice(0, maxViolationsShown)) {
    print([`\nVIOLATION: ${what}`, ...details].join('\n  '));
  }
  if (violations.length > 0) process.exitCode = 1;
}
