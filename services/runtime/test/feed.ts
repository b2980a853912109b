/** The feed of a service, as promises that each service's tests hold it to. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connectionOf } from '@task-manager/runtime/database';
import pg from 'pg';
import { send, type Subject } from './conventions.ts';
import { serve, type TestService } from './harness.ts';

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

export function publishesItsFeed(subject: Subject): void {
  const { name, create, list, prefix } = subject;
  const schema = name.replaceAll('-', '_');
  const kind = list.slice(1, -1);
  const json = { 'Content-Type': 'application/json' };
  let service: TestService;
  let feedUrl: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
    feedUrl = `${service.url}${prefix}${list}/feed`;
  });
  afterAll(() => service.stop());

  let made = 0;
  async function make(): Promise<string> {
    made += 1;
    const { email } = subject.body;
    const body = { ...subject.body, ...(email && { email: `${made}.${email}` }) };
    const { headers } = await send(service.url + prefix + create, 'POST', json, JSON.stringify(body));
    return service.url + String(headers.location);
  }

  async function read(query = ''): Promise<Page> {
    const { status, body } = await send(`${feedUrl}?${query}`, 'GET');
    expect(status).toBe(200);
    return body as unknown as Page;
  }

  /** Where the feed ends now. */
  async function end(): Promise<string> {
    return (await read('cursor=latest')).nextCursor ?? '0-0';
  }

  const idOf = (url: string) => url.split('/').at(-1) ?? '';
  const told = ({ items }: Page) => items.map(({ type, data: { id, version } }) => [type, id, version]);

  describe('the feed', () => {
    it('is empty, and has no cursor, before anything has happened', async () => {
      expect(await read()).toEqual({ items: [], nextCursor: null });
      expect(await read('cursor=latest')).toEqual({ items: [], nextCursor: null });
    });

    it('tells each change once, in order, and nothing of what was refused', async () => {
      const cursor = await end();
      const url = await make();
      await send(url, 'PATCH', json, JSON.stringify({ [subject.text]: 'Changed' }));
      await send(url, 'PATCH', json, JSON.stringify({ [subject.text]: '' }));
      await send(url, 'PATCH', { ...json, 'If-Match': '"1"' }, '{}');
      await send(url, 'DELETE', { 'If-Match': '"1"' });
      await send(url, 'DELETE');
      await send(url, 'DELETE');
      await send(service.url + prefix + create, 'POST', json, '{}');
      const page = await read(`cursor=${cursor}`);
      const id = idOf(url);
      const created = kind === 'user' ? 'user.registered' : `${kind}.created`;
      expect(told(page)).toEqual([
        [created, id, 1],
        [`${kind}.updated`, id, 2],
        [`${kind}.deleted`, id, 2],
      ]);
      expect(page.items[0]).toEqual({
        specversion: '1.0',
        id: expect.any(String),
        source: list,
        type: created,
        subject: id,
        time: expect.stringMatching(/Z$/),
        datacontenttype: 'application/json',
        data: { id, version: 1 },
      });
      expect(page.nextCursor).toBe(page.items.at(-1)?.id);
    });

    it('is read on from any event, a page at a time', async () => {
      const cursor = await end();
      const ids: string[] = [];
      for (let index = 0; index < 5; index++) ids.push(idOf(await make()));
      const seen: string[] = [];
      let page = await read(`cursor=${cursor}&limit=2`);
      while (page.items.length > 0) {
        seen.push(...page.items.map((event) => event.subject));
        page = await read(`cursor=${page.nextCursor}&limit=2`);
      }
      expect(seen).toEqual(ids);
      expect(page.nextCursor).toBe(await end());
      const all = await read(`cursor=${cursor}`);
      const later = { 'Last-Event-ID': all.items[3]?.id ?? '' };
      const { body } = await send(`${feedUrl}?cursor=${cursor}`, 'GET', later);
      expect((body as unknown as Page).items).toEqual(all.items.slice(4));
    });

    it('leaves nothing out and repeats nothing when transactions end in another order than they began', async () => {
      const writers = Array.from({ length: 4 }, () => new pg.Client(connectionOf(service.environment)));
      await Promise.all(writers.map((writer) => writer.connect()));
      const cursor = await end();
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
          [`${kind}.updated`],
        );
      };
      for (let round = 0; round < 20; round++) {
        for (const writer of writers) await writer.query('begin');
        for (const writer of writers) await write(writer);
        // The first to begin is the last to end.
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

    it('waits for an event when it is asked to, and only so long', async () => {
      const cursor = await end();
      expect(await read(`cursor=${cursor}&wait=1`)).toEqual({ items: [], nextCursor: cursor });
      const waiting = [read(`cursor=${cursor}&wait=20`), read('cursor=latest&wait=20')];
      await sleep(150);
      const id = idOf(await make());
      for (const page of await Promise.all(waiting)) expect(page.items.map((event) => event.subject)).toEqual([id]);
    });

    it('refuses a cursor, a wait and an event id that are none, with their place', async () => {
      for (const [query, pointer] of [
        ['cursor=x', '/query/cursor'],
        ['cursor=1', '/query/cursor'],
        ['cursor=9999999999999999999-1', '/query/cursor'],
        ['wait=21', '/query/wait'],
        ['wait=-1', '/query/wait'],
        ['wait=0.5', '/query/wait'],
        ['limit=101', '/query/limit'],
      ]) {
        const { status, body } = await send(`${feedUrl}?${query}`, 'GET');
        const errors = expect.arrayContaining([expect.objectContaining({ pointer })]);
        expect({ query, status, errors: body.errors }).toMatchObject({ status: 400, errors });
      }
      const { status, body } = await send(feedUrl, 'GET', { 'Last-Event-ID': 'x' });
      expect({ status, errors: body.errors }).toMatchObject({
        status: 400,
        errors: expect.arrayContaining([expect.objectContaining({ pointer: '/headers/last-event-id' })]),
      });
      expect(await read('cursor=999999999999999999-999999999999999999')).toMatchObject({ items: [] });
    });
  });

  describe('the event stream', () => {
    it('tells what has happened and then what happens, to each who listens', async () => {
      const cursor = await end();
      const before = idOf(await make());
      const streams = await Promise.all([1, 2, 3].map(() => listen(`${feedUrl}?cursor=${cursor}`)));
      const after = idOf(await make());
      for (const stream of streams) {
        const [first, second] = [await stream.next(), await stream.next()];
        expect([first.subject, second.subject]).toEqual([before, after]);
        stream.close();
      }
    });

    it('goes on after the event that was the last to be heard', async () => {
      const cursor = await end();
      const ids = [idOf(await make()), idOf(await make()), idOf(await make())];
      const { items } = await read(`cursor=${cursor}`);
      const stream = await listen(`${feedUrl}?cursor=${cursor}`, { 'Last-Event-ID': items[0]?.id ?? '' });
      expect([(await stream.next()).subject, (await stream.next()).subject]).toEqual(ids.slice(1));
      stream.close();
    });

    it('ends when the service stops, and so does all waiting', async () => {
      const stopping = await serve(name, subject.handlers);
      try {
        const url = `${stopping.url}${list}/feed`;
        const stream = await listen(url);
        const waiting = send(`${url}?wait=20`, 'GET');
        await sleep(100);
        stopping.health.stop();
        expect((await waiting).body).toEqual({ items: [], nextCursor: null });
        await stream.ended();
      } finally {
        await stopping.stop();
      }
    });

    it('has headers and nothing else for HEAD', async () => {
      const { status, headers, text } = await send(feedUrl, 'HEAD', { Accept: 'text/event-stream' });
      expect([status, headers['content-type'], text]).toEqual([200, 'text/event-stream; charset=utf-8', '']);
    });
  });

  /** Listens as an EventSource does. */
  async function listen(url: string, headers: Record<string, string> = {}) {
    const request = get(url, { headers: { Accept: 'text/event-stream', ...headers }, agent: false });
    request.on('error', () => undefined);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect([response.statusCode, response.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    // Whoever closes it breaks it off.
    response.on('error', () => undefined);
    const closed = new Promise((resolve) => response.once('close', resolve));
    const chunks = response.setEncoding('utf8').iterator({ destroyOnReturn: false });
    let text = '';
    return {
      async ended() {
        response.resume();
        await closed;
      },
      close: () => request.destroy(),
      async next(): Promise<Event> {
        for (;;) {
          const [, whole, id, type, data = ''] =
            /^((?:retry: \d+\n\n|:\n\n)*id: (.*)\nevent: (.*)\ndata: (.*)\n\n)/.exec(text) ?? [];
          if (whole !== undefined) {
            text = text.slice(whole.length);
            const event = JSON.parse(data) as Event;
            expect([event.id, event.type]).toEqual([id, type]);
            return event;
          }
          const { done, value } = (await chunks.next()) as IteratorResult<string, undefined>;
          if (done) throw new Error('the stream has ended');
          text += value;
        }
      },
    };
  }
}
