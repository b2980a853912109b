/** What goes wrong, as it does sooner or later: with processes, with the network, with the database. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.ts';
import { Broken, type Stage, type StagedReplica } from './system-under-test.ts';

export interface Fault {
  kind: Kind;
  /** Which replica was struck; undefined when it was what all have in common. */
  replica: string | undefined;
  began: number;
  /** When everything was seen to be well again. */
  over: number;
  /** Milliseconds from its end to the first good answer of each replica; undefined when another came with it. */
  recovery: number | undefined;
}

type Cause = 'process' | 'network' | 'database';

/** Resolves when it has passed. Rejects when what it strikes does not go the way it must. */
type Strike = (stage: Stage, random: Random, replica: StagedReplica) => Promise<void>;

const faults = {
  'SIGKILL of a replica': ['process', kill],
  'SIGTERM of a replica': ['process', terminate],
  'a replica stands still': ['process', stop],
  'connections fall silent': ['network', fallSilent],
  'connections are refused': ['network', refuse],
  'connections are reset': ['network', reset],
  'connections end slowly': ['network', endSlowly],
  'connections are slow': ['network', slow],
  'answers are lost': ['network', loseAnswers],
  'PostgreSQL stops at once': ['database', (stage, random) => restart(stage, random, 'SIGQUIT')],
  'PostgreSQL is killed': ['database', (stage, random) => restart(stage, random, 'SIGKILL')],
  'a backend is killed': ['database', killBackend],
  'PostgreSQL ends all connections': ['database', endConnections],
  'a table is locked': ['database', lockTable],
} satisfies Record<string, [Cause, Strike]>;

export type Kind = keyof typeof faults;
export const kinds = Object.keys(faults) as Kind[];

export function nameOf({ kind, replica }: Fault): string {
  return replica ? `${kind} (${replica})` : kind;
}

export function causeOf(kind: Kind): Cause {
  return faults[kind][0];
}

/** Strikes one after the other, sometimes two at once, in an order in which each kind comes up before any comes again. */
export class Disturber {
  readonly #stage: Stage;
  readonly #random: Random;
  #deck: Kind[] = [];
  /** Those that are not over yet. */
  current: Fault[] = [];

  constructor(stage: Stage, random: Random) {
    this.#stage = stage;
    this.#random = random;
  }

  /** Resolves when everything is well again. Rejects when it does not become so in time. */
  async strike(stopped: AbortSignal): Promise<Fault[]> {
    const stage = this.#stage;
    const drawn = this.#draw();
    const striking = drawn.map(async (kind) => {
      const [cause, strike] = faults[kind] as [Cause, Strike];
      const replica = this.#random.pick(stage.replicas);
      const struck = cause === 'database' ? undefined : replica.name;
      this.current.push({ kind, replica: struck, began: stage.now(), over: Infinity, recovery: undefined });
      await strike(stage, this.#random, replica);
    });
    // Whatever becomes of one, the other must not go on alone.
    await Promise.allSettled(striking);
    await Promise.all(striking);
    const recovery = await stage.recover(stopped);
    const over = this.current.map((fault) => ({
      ...fault,
      over: stage.now(),
      recovery: drawn.length === 1 ? recovery : undefined,
    }));
    this.current = [];
    return over;
  }

  /** One or two kinds, of different causes. */
  #draw(): Kind[] {
    if (this.#deck.length === 0) this.#deck = this.#random.shuffle(kinds);
    const first = this.#deck.pop() as Kind;
    const second = this.#deck.at(-1);
    if (!second || causeOf(first) === causeOf(second) || !this.#random.chance(0.25)) return [first];
    this.#deck.pop();
    return [first, second];
  }
}

async function kill(_stage: Stage, random: Random, replica: StagedReplica): Promise<void> {
  await replica.end('SIGKILL');
  await sleep(random.integer(0, 400));
  await replica.startAgain();
}

async function terminate(_stage: Stage, _random: Random, replica: StagedReplica): Promise<void> {
  const reason = await replica.end('SIGTERM');
  if (reason !== 'code 0') throw new Broken(`${replica.name} ended with ${reason} after SIGTERM`);
  await replica.startAgain();
}

async function stop(_stage: Stage, random: Random, replica: StagedReplica): Promise<void> {
  replica.signal('SIGSTOP');
  await sleep(random.integer(100, 1500));
  replica.signal('SIGCONT');
}

async function fallSilent(_stage: Stage, random: Random, { proxy }: StagedReplica): Promise<void> {
  proxy.blackhole();
  await sleep(random.integer(300, 2500));
  proxy.heal();
}

async function refuse(_stage: Stage, random: Random, { proxy }: StagedReplica): Promise<void> {
  proxy.refuse();
  await sleep(random.integer(100, 1000));
  proxy.heal();
}

async function reset(_stage: Stage, random: Random, { proxy }: StagedReplica): Promise<void> {
  for (let times = random.integer(1, 5); times > 0; times--) {
    proxy.reset();
    await sleep(random.integer(10, 200));
  }
}

async function endSlowly(_stage: Stage, random: Random, { proxy }: StagedReplica): Promise<void> {
  await proxy.closeSlowly(random.integer(10, 300));
}

async function slow(_stage: Stage, random: Random, { proxy }: StagedReplica): Promise<void> {
  proxy.latencyMs = random.integer(5, 60);
  await sleep(random.integer(300, 1500));
  proxy.heal();
}

/** By which statements are known on the wire: all that write, and the end of a transaction. */
const writes = ['commit', 'insert-', 'update-', 'delete-', 'keep-idempotency-key', 'move-users-cursor'];

async function loseAnswers(_stage: Stage, random: Random, { proxy }: StagedReplica): Promise<void> {
  for (let times = random.integer(5, 15); times > 0; times--) {
    proxy.loseAnswerTo(random.pick(writes));
    await sleep(random.integer(20, 150));
  }
  proxy.heal();
}

async function restart(stage: Stage, random: Random, signal: 'SIGQUIT' | 'SIGKILL'): Promise<void> {
  await stage.endPostgres(signal);
  await sleep(random.integer(0, 1000));
  await stage.startPostgresAgain();
}

async function killBackend(stage: Stage): Promise<void> {
  if (await stage.killBackend()) await stage.startPostgresAgain();
}

async function endConnections(stage: Stage, random: Random): Promise<void> {
  for (let times = random.integer(1, 3); times > 0; times--) {
    await stage.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename like '%\\_service'`);
    await sleep(random.integer(10, 200));
  }
}

const tables = [
  'task_service.tasks',
  'task_service.events',
  'task_service.idempotency_keys',
  'task_service.assignees',
  'user_service.users',
  'user_service.events',
];

async function lockTable(stage: Stage, random: Random): Promise<void> {
  await stage.query(
    'begin',
    `lock table ${random.pick(tables)} in access exclusive mode`,
    `select pg_sleep(${random.integer(200, 1500) / 1000})`,
    'rollback',
  );
}
