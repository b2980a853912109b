/**
 * The feed of a service: what happened, in order, with nothing left out and nothing twice. An event is a row of the table
 * `events` in the service's schema, written by the statement that makes the change. See decisions/006.
 */
import { setTimeout as sleep } from 'node:timers/promises';
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

/** The part of a request for a feed that its handler reads. */
interface FeedRequest {
  query: { cursor?: string; limit: number; wait: number };
  headers: { 'Last-Event-ID'?: string };
  accept: 'application/json' | 'text/event-stream';
  /** Begins anew whenever it is read. */
  readonly db: Queryable;
  signal: AbortSignal;
}

const pollIntervalMs = 100;
/** Proxies close a connection on which nothing comes for long. */
const heartbeatMs = 15_000;
const streamPageSize = 100;

/** The handler of an operation that publishes the feed of `source`: pages, with or without waiting, and event streams. */
export function feedHandler<const Source extends string, Type extends string>(source: Source) {
  const news = new News();

  async function readPage(db: Queryable, after: string, limit: number) {
    const items = (await findEvents(db, after, limit)).map((row) => toEvent<Source, Type>(source, row));
    return { items, nextCursor: items.at(-1)?.id ?? after };
  }

  async function* readStream(request: FeedRequest, signal: AbortSignal, from: string) {
    // An EventSource that loses the connection comes back after this many milliseconds.
    yield 'retry: 1000\n\n';
    let after = from;
    while (!signal.aborted) {
      const { items, nextCursor } = await readPage(request.db, after, streamPageSize);
      for (const event of items) yield `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      after = nextCursor;
      if (items.length < streamPageSize && !(await news.after(request, after, heartbeatMs, signal))) yield ':\n\n';
    }
  }

  return async (request: FeedRequest) => {
    const { query, headers, accept, db, signal } = request;
    const { cursor, limit, wait } = query;
    const after = await placeOf(db, headers['Last-Event-ID'] ?? cursor);
    if (accept === 'text/event-stream') return { status: 200 as const, stream: readStream(request, signal, after) };
    const deadline = Date.now() + wait * 1000;
    let page = await readPage(db, after, limit);
    while (page.items.length === 0 && Date.now() < deadline && !signal.aborted) {
      await news.after(request, after, deadline - Date.now(), signal);
      page = await readPage(request.db, after, limit);
    }
    return { status: 200 as const, body: { ...page, nextCursor: page.nextCursor === start ? null : page.nextCursor } };
  };
}

const start = '0-0';

/** The place after which to read on. */
async function placeOf(db: Queryable, cursor: string | undefined): Promise<string> {
  return cursor === 'latest' ? await findLatest(db) : (cursor ?? start);
}

/** Tells those who wait that something has happened: one look at the database in a while, however many they are. */
class News {
  readonly #waiting = new Set<{ after: string; tell: AbortController }>();
  #looking = false;

  /** Resolves with true when there may be an event after this place or at the signal, and with false after the time. */
  async after(request: FeedRequest, after: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const waiter = { after, tell: new AbortController() };
    this.#waiting.add(waiter);
    if (!this.#looking) void this.#look(request);
    const tell = () => {
      waiter.tell.abort();
    };
    signal.addEventListener('abort', tell);
    if (signal.aborted) tell();
    // No AbortSignal.timeout(): inside AbortSignal.any() it may be collected as garbage before its time has come, and
    // then it never comes (https://github.com/nodejs/node/issues/57736).
    await sleep(timeoutMs, undefined, { signal: waiter.tell.signal }).catch(() => undefined);
    signal.removeEventListener('abort', tell);
    this.#waiting.delete(waiter);
    return waiter.tell.signal.aborted;
  }

  async #look(request: FeedRequest): Promise<void> {
    this.#looking = true;
    while (this.#waiting.size > 0) {
      // When the database is away everybody is told: they find out by themselves.
      const latest = await findLatest(request.db).catch(() => undefined);
      for (const { after, tell } of this.#waiting) {
        if (latest === undefined || isAfter(latest, after)) tell.abort();
      }
      await sleep(pollIntervalMs);
    }
    this.#looking = false;
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

/** Of transactions that may still be running nothing is shown, nor what comes after them: they could add to it. */
const settled = 'transaction_id < pg_snapshot_xmin(pg_current_snapshot())';
const id = `transaction_id::text || '-' || position::text as id`;

async function findEvents(db: Queryable, after: string, limit: number): Promise<EventRow[]> {
  return db.query<EventRow>({
    name: 'find-events',
    text: `select ${id}, type, subject, version, time
           from ${db.schema}.events
           where (transaction_id, position) > ($1::text::xid8, $2::bigint) and ${settled}
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
           where ${settled}
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
