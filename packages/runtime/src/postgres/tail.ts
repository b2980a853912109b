/** The newest events of a feed in memory: one query reads them for all requests that wait. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Page } from './cursor.ts';

type ReadPage<Event> = (after: string, limit: number) => Promise<Page<Event>>;

interface Waiter {
  after: string;
  deadlineMs: number;
  signal: AbortSignal;
  resolve: () => void;
}

const pollIntervalMs = 100;
const maxEvents = 1000;
const maxIdlePolls = 10;
/** Other requests have a turn after this many responses. */
const wokenPerTurn = 50;

export class Tail<Event extends { id: string }> {
  readonly #waiters = new Set<Waiter>();
  #timer: NodeJS.Timeout | undefined;
  #idlePolls = 0;
  #isReading = false;
  /** The events after `first`, up to `last`. */
  #events: Event[] = [];
  #first = '';
  #last = '';
  #pages = new Map<string, Page<Event> | undefined>();

  /** The known events after a position; undefined when only the database has them. */
  page(after: string, limit: number): Page<Event> | undefined {
    if (!this.#timer) return undefined;
    const key = `${after} ${limit}`;
    if (!this.#pages.has(key)) this.#pages.set(key, this.#slice(after, limit));
    return this.#pages.get(key);
  }

  #slice(after: string, limit: number): Page<Event> | undefined {
    if (isAfter(this.#first, after)) return undefined;
    const begin = this.#events.findIndex(({ id }) => isAfter(id, after));
    return pageAfter(after, begin < 0 ? [] : this.#events.slice(begin, begin + limit));
  }

  /** Waits for an event after the position, the deadline (of `performance.now()`) or the signal. */
  async wait(after: string, deadlineMs: number, signal: AbortSignal, read: ReadPage<Event>): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiters.add({ after, deadlineMs, signal, resolve });
      if (this.#timer) return;
      this.#first = this.#last = after;
      this.#timer = setInterval(() => {
        void this.#poll(read);
      }, pollIntervalMs).unref();
    });
  }

  async #poll(read: ReadPage<Event>): Promise<void> {
    this.#pages.clear();
    await this.#wake();
    this.#idlePolls = this.#waiters.size === 0 ? this.#idlePolls + 1 : 0;
    if (this.#idlePolls > maxIdlePolls) this.#stop();
    if (this.#isReading || this.#waiters.size === 0) return;
    this.#isReading = true;
    // After an error the next poll reads again; meanwhile requests wait.
    const { items } = await read(this.#last, maxEvents).catch(() => ({ items: [] }));
    this.#isReading = false;
    this.#keep(items);
    await this.#wake();
  }

  #keep(items: Event[]): void {
    const last = items.at(-1);
    if (!last) return;
    this.#last = last.id;
    this.#events.push(...items);
    this.#first = this.#events.splice(0, this.#events.length - maxEvents).at(-1)?.id ?? this.#first;
    this.#pages.clear();
  }

  async #wake(): Promise<void> {
    const nowMs = performance.now();
    let woken = 0;
    for (const waiter of this.#waiters) {
      const { after, deadlineMs, signal, resolve } = waiter;
      if (!signal.aborted && deadlineMs > nowMs && (after === this.#last || !isAfter(this.#last, after))) continue;
      this.#waiters.delete(waiter);
      resolve();
      if (++woken % wokenPerTurn === 0) await nextTurn();
    }
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#events = [];
    this.#pages.clear();
  }
}

/** The page of these items; only a feed without events has no cursor. */
export function pageAfter<Event extends { id: string }>(after: string, items: Event[]): Page<Event> {
  const last = items.at(-1)?.id ?? after;
  return { items, nextCursor: last === start ? null : last };
}

/** Compares `transaction-position`. */
function isAfter(one: string, other: string): boolean {
  const [transaction = 0n, position = 0n] = one.split('-').map(BigInt);
  const [otherTransaction = 0n, otherPosition = 0n] = other.split('-').map(BigInt);
  return transaction > otherTransaction || (transaction === otherTransaction && position > otherPosition);
}

export const start = '0-0';
