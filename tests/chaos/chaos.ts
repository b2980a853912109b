/**
 * `npm run chaos -- [--seed N] [--minutes M] [--json]`: clients do at random what the contracts allow, at two replicas of each
 * service and through the gateway, while processes, connections and PostgreSQL are killed, paused and cut. Then everything
 * that was answered is compared with what there is, and with the feeds. `--seed` tries the same again, as far as processes
 * and networks take part; a new one is printed. `--minutes` is how long, half a minute by default. `--json` prints what was
 * found and measured as JSON, and the progress on standard error.
 *
 * Exits with 1 when a promise was broken: an answer, a change that was lost or made twice, a service that did not recover.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { nameOf } from './faults.ts';
import { Random } from './random.ts';
import { Run, type Findings } from './run.ts';
import { Broken, Stage } from './system-under-test.ts';
import { runToEnd } from '@task-manager/dev/command';

/** Of a round that went wrong, the first say enough. */
const violationsShown = 5;

const { seed, minutes, json } = readArguments();
const say = json ? console.error : console.log;

await runToEnd('npm run chaos', async (stopped) => {
  say(`Seed: ${seed}`);
  const stage = new Stage();
  const over = new AbortController();
  const end = () => {
    over.abort(stopped.reason);
  };
  stopped.addEventListener('abort', end);
  let run: Run | undefined;
  try {
    await stage.open(over.signal);
    run = new Run(stage, new Random(seed), over.signal);
    await goOn(run, stage.now() + minutes * 60_000, () => stage.now());
  } catch (error) {
    stopped.throwIfAborted();
    throw error;
  } finally {
    end();
    await run?.close();
    await stage.close();
  }
  report(run.findings);
});

function readArguments(): { seed: number; minutes: number; json: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string', default: String(randomInt(1_000_000)) },
        minutes: { type: 'string', default: '0.5' },
        json: { type: 'boolean', default: false },
      },
    });
    const [seed, minutes] = [Number(values.seed), Number(values.minutes)];
    if (!Number.isInteger(seed)) throw new Error(`--seed ${values.seed} is no whole number`);
    if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes} is no time`);
    return { seed, minutes, json: values.json };
  } catch (error) {
    console.error(`npm run chaos: ${(error as Error).message}`);
    process.exit(1);
  }
}

/** Round after round until the time has come, or something has gone wrong. */
async function goOn(run: Run, until: number, now: () => number): Promise<void> {
  const { findings } = run;
  while (now() < until && findings.violations.length === 0) {
    try {
      const faults = await run.round();
      say(
        `${String(Math.round(now() / 1000)).padStart(5)} s  ${findings.acknowledged} answers  ${faults.map(nameOf).join(', ')}`,
      );
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      findings.violations.push({ what: error.message, history: [] });
    }
  }
}

function report(findings: Findings): void {
  const { rounds, acknowledged, refused, unknown, slowestInDatabaseFaultMs, faults, violations } = findings;
  say('\nfault                             times  slowest answer  recovery');
  for (const [kind, { times, slowestMs, recoveryMs }] of Object.entries(faults)) {
    say(
      `${kind.padEnd(34)}${String(times).padStart(5)}${inMs(slowestMs).padStart(16)}${inMs(recoveryMs).padStart(10)}`,
    );
  }
  say(`\n${rounds} rounds; answers: ${acknowledged} good, ${refused} refused by a rule, ${unknown} lost or 503`);
  say(`slowest answer while only the database or its connections were struck: ${inMs(slowestInDatabaseFaultMs)}`);
  say(`${violations.length} violations`);
  for (const { what, history } of violations.slice(0, violationsShown)) {
    say(`\nVIOLATION: ${what}`);
    for (const line of history) say(`  ${line}`);
  }
  if (json) console.log(JSON.stringify({ seed, minutes, ...findings }));
  say(`\nAgain: npm run chaos -- --seed ${seed} --minutes ${minutes}`);
  if (violations.length > 0) process.exitCode = 1;
}

function inMs(time: number | undefined): string {
  return time === undefined ? '–' : `${Math.round(time)} ms`;
}
