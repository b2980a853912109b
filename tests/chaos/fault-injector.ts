/** Injects the faults of the library at random. */
import { faults, kinds, tables, type Kind } from '@task-manager/testing/faults';
import type { Random } from '@task-manager/testing/random';
import type { SystemUnderTest } from '@task-manager/testing/system-under-test';

export interface InjectedFault {
  kind: Kind;
  /** Undefined when it affected the database. */
  replica: string | undefined;
  startedAt: number;
  /** When the system was found to have recovered. */
  endedAt: number;
  /** Until the first successful response of the slowest replica; undefined when two faults overlapped. */
  recoveryMs: number | undefined;
}

export function faultName({ kind, replica }: InjectedFault): string {
  return replica ? `${kind} (${replica})` : kind;
}

export class FaultInjector {
  /** Faults that have not ended. */
  active: InjectedFault[] = [];
  readonly #system: SystemUnderTest;
  readonly #random: Random;
  #deck: Kind[] = [];

  constructor(system: SystemUnderTest, random: Random) {
    this.#system = system;
    this.#random = random;
  }

  /** Injects one fault or two at once. Resolves when the system has recovered; rejects when it does not in time. */
  async inject(signal: AbortSignal): Promise<InjectedFault[]> {
    const drawn = this.#draw();
    const injecting = drawn.map((kind) => this.#injectOne(kind));
    // When one fails, the other must not go on alone.
    await Promise.allSettled(injecting);
    await Promise.all(injecting);
    const recoveryMs = await this.#system.recover(signal);
    const endedAt = performance.now();
    const ended = this.active.map((fault) => ({
      ...fault,
      endedAt,
      recoveryMs: drawn.length === 1 ? recoveryMs : undefined,
    }));
    this.active = [];
    return ended;
  }

  async #injectOne(kind: Kind): Promise<void> {
    const { cause, rangeMs, inject } = faults[kind];
    const random = this.#random;
    const replica = random.pick(this.#system.replicas);
    const name = cause === 'database' ? undefined : replica.name;
    this.active.push({ kind, replica: name, startedAt: performance.now(), endedAt: Infinity, recoveryMs: undefined });
    await inject({
      ...{ system: this.#system, replicas: [replica], random, table: random.pick(tables) },
      ...{ durationMs: random.integer(rangeMs[0], rangeMs[1]), latencyMs: random.integer(5, 60) },
    });
  }

  /** Every kind comes once before any comes again. Two at once have different causes. */
  #draw(): Kind[] {
    if (this.#deck.length === 0) this.#deck = this.#random.shuffle(kinds);
    const first = this.#deck.pop() as Kind;
    const second = this.#deck.at(-1);
    if (!second || faults[first].cause === faults[second].cause || !this.#random.chance(0.25)) return [first];
    this.#deck.pop();
    return [first, second];
  }
}
