/** Proves that the feed has every change once and in order, as pages, long polls and event streams. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connectionOf, type Database } from '@task-manager/runtime/postgres/database';
import pg from 'pg';
import { serve, type TestService } from './harness.ts';
import { unknownId, type TestResponse, json, newBodies, open, send, type Subject } from './subject.ts';

interface Event {
  id: string;
  type: string;
  subject: string;
  data: { id: string; version: number };
}
interface Page {
  items: Event[];
  nextCursor: string | null;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

export function testFeed(subject: Subject): void {
  const { name, create, batch, list, prefix, text, events } = subject;
  const newBody = newBodies(subject);
  const schema = name.replaceAll('-', '_');
  let service: TestService;
  let feedUrl: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
    feedUrl = `${service.url}${prefix}${list}/feed`;
  });
  afterAll(() => service.stop());

  /** Creates a resource and returns its URL. */
  async function createResource(): Promise<string> {
    const { headers } = await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody()));
    return service.url + String(headers.location);
  }

  async function read(query = ''): Promise<Page> {
    const { status, body } = await send(`${feedUrl}?${query}`, 'GET');
    expect(status).toBe(200);
    return body as unknown as Page;
  }

  async function latestCursor(): Promise<string> {
    return (await read('cursor=latest')).nextCursor ?? '0-0';
  }

  const idOf = (url: string) => url.split('/').at(-1) ?? '';
  const changesIn = ({ items }: Page) => items.map(({ type, data: { id, version } }) => [type, id, version]);

  describe('feed', () => {
    it('is empty and has no cursor when nothing has changed yet', async () => {
      const fresh = await serve(name, subject.handlers);
      for (const query of ['', '?cursor=latest']) {
        const { body } = await send(`${fresh.url}${prefix}${list}/feed${query}`, 'GET');
        expect(body).toEqual({ items: [], nextCursor: null });
      }
      await fresh.stop();
    });

    it('has each change once and in order, and none of a rejected request', async () => {
      const cursor = await latestCursor();
      const url = await createResource();
      await send(url, 'PATCH', json, JSON.stringify({ [text]: 'Changed' }));
      await send(url, 'PATCH', json, JSON.stringify({ [text]: '' }));
      await send(url, 'PATCH', { ...json, 'If-Match': '"1"' }, '{}');
      await send(url, 'DELETE', { 'If-Match': '"1"' });
      await send(url, 'DELETE');
      await send(url, 'DELETE');
      await send(service.url + prefix + create, 'POST', json, '{}');
      const page = await read(`cursor=${cursor}`);
      const id = idOf(url);
      expect(changesIn(page)).toEqual([
        [events.created, id, 1],
        [events.changed, id, 2],
        [events.deleted, id, 2],
      ]);
      expect(page.items[0]).toEqual({
        specversion: '1.0',
        id: expect.any(String),
        source: list,
        type: events.created,
        subject: id,
        time: expect.stringMatching(/Z$/),
        datacontenttype: 'application/json',
        data: { id, version: 1 },
      });
      expect(page.nextCursor).toBe(page.items.at(-1)?.id);
    });

    it('has no event of a conflict or a replayed request', async () => {
      const conflict = JSON.stringify(await subject.conflicts(service.url + prefix));
      const cursor = await latestCursor();
      const url = await createResource();
      const keyed = { ...json, 'Idempotency-Key': 'feed replay' };
      const [first, second] = [JSON.stringify(newBody()), JSON.stringify(newBody())];
      const post = (headers: Record<string, string>, body: string) =>
        send(service.url + prefix + create, 'POST', headers, body);
      const { body: created } = await post(keyed, first);
      const responses = [
        await post(keyed, first),
        await post(keyed, second),
        await post(json, conflict),
        await send(url, 'PATCH', json, conflict),
      ];
      expect(responses.map(({ status }) => status)).toEqual([201, 422, 409, 409]);
      expect((await read(`cursor=${cursor}`)).items.map((event) => event.subject)).toEqual([idOf(url), created.id]);
    });

    if (batch) {
      it('has an event for each resource of a batch', async () => {
        const cursor = await latestCursor();
        const items = [newBody(), newBody(), newBody()];
        const { body } = await send(service.url + prefix + batch, 'POST', json, JSON.stringify({ items }));
        const ids = (body.items as { id: string }[]).map(({ id }) => id);
        const page = await read(`cursor=${cursor}`);
        expect(changesIn(page).sort()).toEqual(ids.map((id) => [events.created, id, 1]).sort());
      });
    }

    it('links from the oldest event to the newest, with the prefix and limit of the request', async () => {
      const fresh = await serve(name, subject.handlers);
      for (let created = 0; created < 4; created++) {
        await send(fresh.url + prefix + create, 'POST', json, JSON.stringify(newBody()));
      }
      const all = (await send(`${fresh.url}${prefix}${list}/feed?limit=100`, 'GET')).body.items;
      for (const server of new Set([prefix, ''])) {
        const seen: Event[] = [];
        let next = `${server}${list}/feed?limit=3`;
        for (;;) {
          const { headers, body }: TestResponse = await send(fresh.url + next, 'GET');
          const { items, nextCursor } = body as unknown as Page;
          expect(headers.link).toBe(`<${server}${list}/feed?limit=3&cursor=${nextCursor}>; rel="next"`);
          if (items.length === 0) break;
          seen.push(...items);
          next = `${server}${list}/feed?limit=3&cursor=${nextCursor}`;
        }
        expect(seen).toHaveLength(4);
        expect(seen).toEqual(all);
      }
      await fresh.stop();
    });

    it('returns 304 until there is a new event', async () => {
      const url = `${feedUrl}?cursor=${await latestCursor()}`;
      const known = { 'If-None-Match': String((await send(url, 'GET')).headers.etag) };
      expect(await send(url, 'GET', known)).toMatchObject({ status: 304, text: '' });
      await createResource();
      expect((await send(url, 'GET', known)).status).toBe(200);
    });

    it('continues after any event, a page at a time', async () => {
      const cursor = await latestCursor();
      const ids: string[] = [];
      for (let index = 0; index < 5; index++) ids.push(idOf(await createResource()));
      const seen: string[] = [];
      let page = await read(`cursor=${cursor}&limit=2`);
      while (page.items.length > 0) {
        seen.push(...page.items.map((event) => event.subject));
        page = await read(`cursor=${page.nextCursor}&limit=2`);
      }
      expect(seen).toEqual(ids);
      expect(page.nextCursor).toBe(await latestCursor());
      const all = await read(`cursor=${cursor}`);
      const later = { 'Last-Event-ID': all.items[3]?.id ?? '' };
      const { body } = await send(`${feedUrl}?cursor=${cursor}`, 'GET', later);
      expect((body as unknown as Page).items).toEqual(all.items.slice(4));
    });

    it('skips and repeats no event when transactions end in another order than they began', async () => {
      const writers = Array.from({ length: 4 }, () => new pg.Client(connectionOf(service.environment)));
      await Promise.all(writers.map((writer) => writer.connect()));
      const cursor = await latestCursor();
      const seen: number[] = [];
      const done = new AbortController();
      const reading = (async () => {
        let after = cursor;
        for (;;) {
          const isLast = done.signal.aborted;
          const { items, nextCursor } = await read(`cursor=${after}&limit=3`);
          seen.push(...items.map(({ data }) => data.version));
          after = nextCursor ?? after;
          if (isLast && items.length === 0) return;
        }
      })();
      let number = 1000;
      const write = async (writer: pg.Client) => {
        number += 1;
        await writer.query(
          `insert into ${schema}.events (type, subject, version) values ($1, gen_random_uuid(), ${number})`,
          [events.changed],
        );
      };
      for (let round = 0; round < 20; round++) {
        for (const writer of writers) await writer.query('begin');
        for (const writer of writers) await write(writer);
        // The first to begin commits last.
        for (const writer of [...writers].reverse()) {
          await write(writer);
          await sleep(3);
          await writer.query(round % 5 === 4 ? 'rollback' : 'commit');
        }
      }
      await Promise.all(writers.map((writer) => writer.end()));
      done.abort();
      await reading;
      const { rows } = await service.db.pool.query<{ version: number }>(
        `select version from ${schema}.events where version > 1000 order by transaction_id, position`,
      );
      expect(seen).toEqual(rows.map(({ version }) => version));
      expect(seen.length).toBe(16 * 8);
    });

    it('waits for an event, at most as long as wait allows', async () => {
      await createResource();
      const cursor = await latestCursor();
      expect(await read(`cursor=${cursor}&wait=1`)).toEqual({ items: [], nextCursor: cursor });
      const waiting = [read(`cursor=${cursor}&wait=20`), read('cursor=latest&wait=20')];
      await sleep(150);
      const id = idOf(await createResource());
      for (const page of await Promise.all(waiting)) expect(page.items.map((event) => event.subject)).toEqual([id]);
    });

    it('waits no longer than wait allows when garbage is collected meanwhile', async () => {
      await createResource();
      const cursor = await latestCursor();
      const waiting = read(`cursor=${cursor}&wait=1`);
      for (let round = 0; round < 8; round++) {
        await sleep(100);
        collectGarbage();
      }
      expect(await waiting).toEqual({ items: [], nextCursor: cursor });
    });

    it('returns 400 with a pointer when the cursor, wait, limit or event id is invalid', async () => {
      for (const [query, pointer] of [
        ...['', 'x', '1', '1-', '-1', '1-1-1', '1--1', '0x1-1', '01-1', '1-08', 'LATEST', 'latest-1'].map(
          (cursor) => [`cursor=${cursor}`, '/query/cursor'] as const,
        ),
        ['cursor=9999999999999999999-1', '/query/cursor'],
        ['wait=21', '/query/wait'],
        ['wait=-1', '/query/wait'],
        ['wait=0.5', '/query/wait'],
        ['wait=', '/query/wait'],
        ['limit=101', '/query/limit'],
        ['limit=0', '/query/limit'],
      ] as const) {
        const { status, body } = await send(`${feedUrl}?${query}`, 'GET');
        const errors = expect.arrayContaining([expect.objectContaining({ pointer })]);
        expect({ query, status, errors: body.errors }).toMatchObject({ status: 400, errors });
      }
      for (const id of ['x', '1', 'latest']) {
        const { status, body } = await send(feedUrl, 'GET', { 'Last-Event-ID': id });
        const errors = expect.arrayContaining([expect.objectContaining({ pointer: '/headers/last-event-id' })]);
        expect({ id, status, errors: body.errors }).toMatchObject({ status: 400, errors });
      }
    });

    it('returns 400 when the feed has not reached the position', async () => {
      const position = '999999999999999999-999999999999999999';
      for (const [pointer, query, headers] of [
        ['/query/cursor', `?cursor=${position}`, {}],
        ['/query/cursor', `?cursor=${position}`, { Accept: 'text/event-stream' }],
        ['/headers/last-event-id', '?cursor=0-0', { 'Last-Event-ID': position }],
      ] as const) {
        const { status, body } = await send(feedUrl + query, 'GET', headers);
        expect({ status, errors: body.errors }).toMatchObject({ status: 400, errors: [{ pointer, code: 'cursor' }] });
      }
    });
  });

  describe('event stream', () => {
    it('sends past events and then new ones to each client', async () => {
      const cursor = await latestCursor();
      const before = idOf(await createResource());
      const streams = await Promise.all([1, 2, 3].map(() => openStream(`${feedUrl}?cursor=${cursor}`)));
      const after = idOf(await createResource());
      for (const stream of streams) {
        const [first, second] = [await stream.next(), await stream.next()];
        expect([first.subject, second.subject]).toEqual([before, after]);
        stream.close();
      }
    });

    it('starts with a random reconnection time and its position, so that an EventSource misses nothing', async () => {
      const cursor = await latestCursor();
      const stream = await open(`${feedUrl}?cursor=latest`, 'GET', { Accept: 'text/event-stream' });
      const [first] = (await once(stream, 'data')) as [Buffer];
      expect(first.toString()).toMatch(new RegExp(`^retry: [12]\\d{3}\nid: ${cursor}\n\n$`));
      // An endless response leaves no next request on the connection.
      expect(stream.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8', connection: 'close' });
      stream.destroy();
    });

    it('continues after Last-Event-ID', async () => {
      const cursor = await latestCursor();
      const ids = [idOf(await createResource()), idOf(await createResource()), idOf(await createResource())];
      const { items } = await read(`cursor=${cursor}`);
      const stream = await openStream(`${feedUrl}?cursor=${cursor}`, { 'Last-Event-ID': items[0]?.id ?? '' });
      expect([(await stream.next()).subject, (await stream.next()).subject]).toEqual(ids.slice(1));
      stream.close();
    });

    it('sends more events than one page holds', async () => {
      const cursor = await latestCursor();
      await service.db.pool.query(
        `insert into ${schema}.events (type, subject, version) select $1, $2, number from generate_series(1, 250) as number`,
        [events.changed, unknownId],
      );
      const stream = await openStream(`${feedUrl}?cursor=${cursor}`);
      const versions: number[] = [];
      while (versions.length < 250) versions.push((await stream.next()).data.version);
      expect(versions).toEqual(Array.from({ length: 250 }, (_, index) => index + 1));
      stream.close();
    });

    it('reaches more clients than the database has connections, with one query for all of them', async () => {
      const crowded = await serve(name, subject.handlers);
      const url = `${crowded.url}${prefix}${list}/feed`;
      try {
        const streams = [];
        while (streams.length < 400) {
          const more = Array.from({ length: 40 }, () => openStream(`${url}?cursor=latest`));
          streams.push(...(await Promise.all(more)));
        }
        const queries = countQueries(crowded.db);
        const ids = [];
        for (let count = 0; count < 3; count++) {
          const { body } = await send(crowded.url + prefix + create, 'POST', json, JSON.stringify(newBody()));
          ids.push(body.id);
        }
        for (const stream of streams) {
          expect([(await stream.next()).subject, (await stream.next()).subject, (await stream.next()).subject]).toEqual(
            ids,
          );
          stream.close();
        }
        const elapsedMs = performance.now() - queries.startedAt;
        expect(queries.count).toBeLessThanOrEqual(elapsedMs / 100 + 2);
      } finally {
        await crowded.stop();
      }
    });

    it('waits while every connection of the pool is in use', async () => {
      const stream = await openStream(`${feedUrl}?cursor=latest`);
      const clients = await Promise.all(Array.from({ length: 10 }, () => service.db.pool.connect()));
      await clients[0]?.query(`insert into ${schema}.events (type, subject, version) values ($1, $2, 1)`, [
        events.changed,
        unknownId,
      ]);
      await sleep(1500);
      for (const client of clients) client.release();
      expect((await stream.next()).subject).toBe(unknownId);
      stream.close();
    });

    it('is sent only when Accept prefers it, and not when the cursor is invalid', async () => {
      for (const Accept of ['*/*', 'application/json', 'text/event-stream;q=0.5, application/json']) {
        expect((await send(feedUrl, 'GET', { Accept })).headers['content-type']).toMatch('application/json');
      }
      expect((await send(`${feedUrl}?cursor=x`, 'GET', { Accept: 'text/event-stream' })).status).toBe(400);
    });

    it('ends when the service stops, as long polls do', async () => {
      const stopping = await serve(name, subject.handlers);
      try {
        const url = `${stopping.url}${list}/feed`;
        const stream = await openStream(url);
        const waiting = send(`${url}?wait=20`, 'GET');
        await sleep(100);
        stopping.health.stop();
        expect((await waiting).body).toEqual({ items: [], nextCursor: null });
        await stream.ended();
      } finally {
        await stopping.stop();
      }
    });

    it('has headers but no body when the method is HEAD', async () => {
      const { status, headers, text: body } = await send(feedUrl, 'HEAD', { Accept: 'text/event-stream' });
      expect([status, headers['content-type'], body]).toEqual([200, 'text/event-stream; charset=utf-8', '']);
    });
  });

  /** Counts the queries that read events. */
  function countQueries(db: Database) {
    const queries = { count: 0, startedAt: performance.now() };
    const begin = db.session.bind(db);
    db.session = (...parameters) => {
      const session = begin(...parameters);
      const query = session.query.bind(session);
      session.query = (statement) => {
        if (statement.name === 'find-events') queries.count += 1;
        return query(statement);
      };
      return session;
    };
    return queries;
  }

  /** Opens an event stream, as EventSource does. */
  async function openStream(url: string, headers: Record<string, string> = {}) {
    const response = await open(url, 'GET', { Accept: 'text/event-stream', ...headers });
    // `close` makes the response emit an error.
    response.on('error', () => undefined);
    expect([response.statusCode, response.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    const unbuffered = { 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no', vary: 'Origin, Accept' };
    expect(response.headers).toMatchObject(unbuffered);
    for (const header of ['etag', 'link', 'content-length']) expect(response.headers).not.toHaveProperty(header);
    const closed = new Promise((resolve) => response.once('close', resolve));
    const chunks = response.setEncoding('utf8').iterator({ destroyOnReturn: false });
    let received = '';
    return {
      async ended() {
        response.resume();
        await closed;
      },
      close: () => response.destroy(),
      async next(): Promise<Event> {
        for (;;) {
          const [, whole, id, type, data = ''] =
            /^((?:retry: \d+\nid: .*\n\n)?id: (.*)\nevent: (.*)\ndata: (.*)\n\n)/.exec(received) ?? [];
          if (whole !== undefined) {
            received = received.slice(whole.length);
            const event = JSON.parse(data) as Event;
            expect([event.id, event.type]).toEqual([id, type]);
            return event;
          }
          const { done, value } = (await chunks.next()) as IteratorResult<string, undefined>;
          if (done) throw new Error('the stream has ended');
          received += value;
        }
      },
    };
  }
}
