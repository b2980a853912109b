/** The event feed: every change once, in order. The statement of a change also inserts its event (decision 006). */
import { randomInt } from 'node:crypto';
import { InvalidRequest } from '../errors.ts';
import { batched, shared } from './batch.ts';
import type { Page } from './cursor.ts';
import type { Queryable } from './database.ts';
import { pageAfter, start, Tail } from './tail.ts';

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
  readonly signal: AbortSignal;
}

const heartbeatMs = 15_000;
const streamPageSize = 100;
/** Random, so that clients do not return all at once. */
const reconnectMs = { min: 1000, max: 3000 };

/** The handler of a feed operation of `source`: pages, long polls and event streams. */
export function feedHandler<const Source extends string, Type extends string>(source: Source) {
  type Event = FeedEvent<Source, Type>;
  const tail = new Tail<Event>();
  const findPage = batched((db, places: Place[]) => findPages<Source, Type>(db, source, places));
  const readerOf = (request: FeedRequest) => async (after: string, limit: number) =>
    (await findPage(request.db, { after, limit })).page;

  async function* readStream(request: FeedRequest, signal: AbortSignal, from: string, first: Page<Event>) {
    const read = readerOf(request);
    // An EventSource keeps an id without data, and resumes there even before the first event.
    yield `retry: ${randomInt(reconnectMs.min, reconnectMs.max)}\nid: ${from}\n\n`;
    let after = from;
    let page = first;
    while (!signal.aborted) {
      if (page.items.length > 0) {
        after = page.nextCursor ?? start;
        yield encode(page);
      } else {
        const deadlineMs = performance.now() + heartbeatMs;
        await tail.wait(after, deadlineMs, signal, read);
        if (performance.now() >= deadlineMs) yield `id: ${after}\n\n`;
      }
      // While the database is unavailable, the stream waits.
      page = tail.page(after, streamPageSize) ?? (await read(after, streamPageSize).catch(() => pageAfter(after, [])));
    }
  }

  async function waitForPage(request: FeedRequest, after: string): Promise<Page<Event>> {
    const { query, signal } = request;
    const read = readerOf(request);
    const deadlineMs = performance.now() + query.wait * 1000;
    for (;;) {
      await tail.wait(after, deadlineMs, signal, read);
      const page = tail.page(after, query.limit) ?? (await read(after, query.limit));
      if (page.items.length > 0 || signal.aborted || performance.now() >= deadlineMs) return page;
    }
  }

  return async (request: FeedRequest) => {
    const { query, headers, accept, db } = request;
    const position = headers['Last-Event-ID'] ?? query.cursor ?? start;
    const after = position === 'latest' ? await findLatest(db, undefined) : position;
    const isStream = accept === 'text/event-stream';
    const { page, isReached } = await findPage(db, { after, limit: isStream ? streamPageSize : query.limit });
    if (!isReached) throw notReached(headers);
    if (isStream) return { status: 200 as const, stream: readStream(request, request.signal, after, page) };
    const isDone = page.items.length > 0 || query.wait === 0;
    return { status: 200 as const, body: isDone ? page : await waitForPage(request, after) };
  };
}

/** A position that the feed has not reached: from there, its events up to it would be skipped. */
function notReached({ 'Last-Event-ID': lastEventId }: FeedRequest['headers']): InvalidRequest {
  const pointer = lastEventId === undefined ? '/query/cursor' : '/headers/last-event-id';
  return new InvalidRequest([{ pointer, detail: 'is not a position that this feed has reached', code: 'cursor' }]);
}

const encoded = new WeakMap<object, Buffer>();

/** The page as an event stream, encoded once for all clients that share it. */
function encode<Source, Type extends string>(page: Page<FeedEvent<Source, Type>>): Buffer {
  let bytes = encoded.get(page);
  if (!bytes) {
    const text = page.items.map((event) => `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    encoded.set(page, (bytes = Buffer.from(text.join(''))));
  }
  return bytes;
}

interface Place {
  after: string;
  limit: number;
}

interface FoundPage<Event> {
  page: Page<Event>;
  /** Whether the feed has reached the place. */
  isReached: boolean;
}

interface EventRow {
  place: string;
  isReached: boolean;
  /** Null when there is no event after the place. */
  id: string | null;
  type: string;
  subject: string;
  version: number;
  time: string;
}

const id = `transaction_id::text || '-' || position::text as id`;

/** Events are read up to the oldest running transaction, which could still add events before later ones. */
const horizon = ({ schema }: Queryable) => `${schema}.with_epoch(pg_snapshot_xmin(pg_current_snapshot()))`;

/** The pages after these places, in order. Equal places get the same page. */
async function findPages<Source, Type>(
  db: Queryable,
  source: Source,
  places: Place[],
): Promise<FoundPage<FeedEvent<Source, Type>>[]> {
  const groups = new Map(places.map((place) => [keyOf(place), [] as EventRow[]]));
  const keys = [...groups.keys()];
  const parts = keys.map((key) => key.split(/[- ]/));
  const rows = await db.query<EventRow>({
    name: 'find-events',
    text: `select place, given.transaction_id < ${horizon(db)} as "isReached", id, type, subject, version, time
           from unnest($1::text[], $2::text[]::xid8[], $3::bigint[], $4::integer[])
             as given (place, transaction_id, position, size)
           left join lateral (
             select ${id}, type, subject, version, time, transaction_id, position
             from ${db.schema}.events
             where (transaction_id, position) > (given.transaction_id, given.position) and transaction_id < ${horizon(db)}
             order by transaction_id, position
             limit size
           ) as event on true
           order by event.transaction_id, event.position`,
    values: [keys, ...[0, 1, 2].map((index) => parts.map((part) => part[index]))],
  });
  for (const row of rows) groups.get(row.place)?.push(row);
  const pages = new Map([...groups].map(([key, group]) => [key, toFoundPage<Source, Type>(source, key, group)]));
  return places.map((place) => pages.get(keyOf(place)) as FoundPage<FeedEvent<Source, Type>>);
}

function toFoundPage<Source, Type>(source: Source, key: string, rows: EventRow[]): FoundPage<FeedEvent<Source, Type>> {
  const items = rows.filter(({ id }) => id !== null).map((row) => toEvent<Source, Type>(source, row));
  return { page: pageAfter(key.split(' ')[0] as string, items), isReached: rows[0]?.isReached === true };
}

function keyOf({ after, limit }: Place): string {
  return `${after} ${limit}`;
}

const findLatest = shared<undefined, string>(async (db) => {
  const [latest] = await db.query<{ id: string }>({
    name: 'find-latest-event',
    text: `select ${id}
           from ${db.schema}.events
           where transaction_id < ${horizon(db)}
           order by transaction_id desc, position desc
           limit 1`,
  });
  return latest?.id ?? start;
});

function toEvent<Source, Type>(
  source: Source,
  { id, type, subject, version, time }: EventRow,
): FeedEvent<Source, Type> {
  return {
    specversion: '1.0',
    id: id as string,
    source,
    type: type as Type,
    subject,
    time,
    datacontenttype: 'application/json',
    data: { id: subject, version },
  };
}
