/** The event feed: every change once, in order. The statement of a change also inserts its event (decision 006). */
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidRequest } from '../errors.ts';
import type { Queryable } from './database.ts';

/** An event (CloudEvents 1.0.2) of one of the `Type`s that `source` publishes. */
export interface FeedEvent<Source, Type> {
  specversion: '1.0';
  id: string;
  source: Source;
  type: Type;
  subject: string;
  time: string;
  datacontenttype: 'application/json';
  data: { id: string; version: number };
}

interface FeedRequest {
  query: { cursor?: string; limit: number; wait: number };
  headers: { 'Last-Event-ID'?: string };
  accept: 'application/json' | 'text/event-stream';
  /** Each read starts a new deadline. */
  readonly db: Queryable;
  signal: AbortSignal;
}

const pollIntervalMs = 100;
const heartbeatMs = 15_000;
const streamPageSize = 100;

/** The handler of a feed operation of `source`: pages, long polls and event streams. */
export function feedHandler<const Source extends string, Type extends string>(source: Source) {
  const poller = new Poller();

  async function readPage(db: Queryable, after: string, limit: number) {
    const items = (await findEvents(db, after, limit)).map((row) => toEvent<Source, Type>(source, row));
    return { items, nextCursor: items.at(-1)?.id ?? after };
  }

  async function* readStream(request: FeedRequest, signal: AbortSignal, from: string) {
    yield 'retry: 1000\n\n';
    let after = from;
    while (!signal.aborted) {
      const { items, nextCursor } = await readPage(request.db, after, streamPageSize);
      for (const event of items) yield `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      after = nextCursor;
      if (items.length < streamPageSize && !(await poller.wait(request, after, heartbeatMs, signal))) yield ':\n\n';
    }
  }

  return async (request: FeedRequest) => {
    const { query, headers, accept, db, signal } = request;
    const { cursor, limit, wait } = query;
    const after = await positionOf(db, headers['Last-Event-ID'] ?? cursor);
    if (accept === 'text/event-stream') {
      await checkReached(request, after);
      return { status: 200 as const, stream: readStream(request, signal, after) };
    }
    const deadline = Date.now() + wait * 1000;
    let page = await readPage(db, after, limit);
    if (page.items.length === 0) await checkReached(request, after);
    while (page.items.length === 0 && Date.now() < deadline && !signal.aborted) {
      await poller.wait(request, after, deadline - Date.now(), signal);
      page = await readPage(request.db, after, limit);
    }
    return { status: 200 as const, body: { ...page, nextCursor: page.nextCursor === start ? null : page.nextCursor } };
  };
}

const start = '0-0';

async function positionOf(db: Queryable, cursor: string | undefined): Promise<string> {
  return cursor === 'latest' ? await findLatest(db) : (cursor ?? start);
}

/** Rejects a position that the feed has not reached. Reading from it would silently skip the events up to it. */
async function checkReached({ db, headers }: FeedRequest, position: string): Promise<void> {
  const [row] = await db.query<{ reached: boolean }>({
    name: 'find-reached',
    text: `select $1::text::xid8 < ${horizon(db)} as reached`,
    values: [position.split('-')[0]],
  });
  if (row?.reached) return;
  const pointer = headers['Last-Event-ID'] === undefined ? '/query/cursor' : '/headers/last-event-id';
  throw new InvalidRequest([{ pointer, detail: 'is not a position that this feed has reached', code: 'cursor' }]);
}

/** Polls the database once in a while for all requests that wait for events. */
class Poller {
  readonly #waiting = new Set<{ after: string; wake: AbortController }>();
  #isPolling = false;

  /** Resolves to true when there may be an event after this position, or at the signal; to false after the timeout. */
  async wait(request: FeedRequest, after: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const waiter = { after, wake: new AbortController() };
    this.#waiting.add(waiter);
    if (!this.#isPolling) void this.#poll(request);
    const wake = () => {
      waiter.wake.abort();
    };
    signal.addEventListener('abort', wake);
    if (signal.aborted) wake();
    // AbortSignal.timeout() inside AbortSignal.any() may be garbage-collected before it fires (nodejs/node#57736).
    await sleep(timeoutMs, undefined, { signal: waiter.wake.signal }).catch(() => undefined);
    signal.removeEventListener('abort', wake);
    this.#waiting.delete(waiter);
    return waiter.wake.signal.aborted;
  }

  async #poll(request: FeedRequest): Promise<void> {
    this.#isPolling = true;
    while (this.#waiting.size > 0) {
      const latest = await findLatest(request.db).catch(() => undefined);
      for (const { after, wake } of this.#waiting) {
        if (latest === undefined || isAfter(latest, after)) wake.abort();
      }
      await sleep(pollIntervalMs);
    }
    this.#isPolling = false;
  }
}

function isAfter(one: string, other: string): boolean {
  const [transaction = 0n, position = 0n] = one.split('-').map(BigInt);
  const [otherTransaction = 0n, otherPosition = 0n] = other.split('-').map(BigInt);
  return transaction > otherTransaction || (transaction === otherTransaction && position > otherPosition);
}

interface EventRow {
  id: string;
  type: string;
  subject: string;
  version: number;
  time: string;
}

/** Events are read up to the oldest running transaction, which could still add events before later ones. */
const horizon = ({ schema }: Queryable) => `${schema}.with_epoch(pg_snapshot_xmin(pg_current_snapshot()))`;
const id = `transaction_id::text || '-' || position::text as id`;

async function findEvents(db: Queryable, after: string, limit: number): Promise<EventRow[]> {
  return db.query<EventRow>({
    name: 'find-events',
    text: `select ${id}, type, subject, version, time
           from ${db.schema}.events
           where (transaction_id, position) > ($1::text::xid8, $2::bigint) and transaction_id < ${horizon(db)}
           order by transaction_id, position
           limit $3`,
    values: [...after.split('-'), limit],
  });
}

async function findLatest(db: Queryable): Promise<string> {
  const [latest] = await db.query<{ id: string }>({
    name: 'find-latest-event',
    text: `select ${id}
           from ${db.schema}.events
           where transaction_id < ${horizon(db)}
           order by transaction_id desc, position desc
           limit 1`,
  });
  return latest?.id ?? start;
}

function toEvent<Source, Type>(
  source: Source,
  { id, type, subject, version, time }: EventRow,
): FeedEvent<Source, Type> {
  return {
    specversion: '1.0',
    id,
    source,
    type: type as Type,
    subject,
    time,
    datacontenttype: 'application/json',
    data: { id: subject, version },
  };
}
