/** Proves that an overloaded service rejects excess requests at once, and recovers. */
import { describe, expect, it } from '@jest/globals';
import { captureLog, serve } from './harness.ts';
import { until } from './until.ts';
import { readResponses, openSocket, formatRequest } from './raw-http.ts';
import { json, withListHandler, newBodies, open, send, type Subject } from './subject.ts';

export function testOverload(subject: Subject): void {
  const { name, handlers, list, create, body, prefix, table } = subject;

  const newBody = newBodies(subject);

  describe('overload', () => {
    it('returns 503 with Retry-After until requests in progress finish', async () => {
      const page = { status: 200, body: { items: [], nextCursor: null } };
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      let started = 0;
      const handlersBehindGate = withListHandler(subject, async () => {
        started++;
        await gate;
        return page;
      });
      const { logger, lines } = captureLog();
      const service = await serve(name, handlersBehindGate, { logger });
      const base = service.url + prefix;
      const inProgress = Array.from({ length: 2048 }, () => send(base + list, 'GET'));
      while (started < inProgress.length) await new Promise(setImmediate);

      for (const rejected of [
        await send(base + list, 'GET'),
        await send(base + create, 'POST', json, JSON.stringify(body)),
        // Without the fast path, because of Origin.
        await send(base + create, 'POST', { ...json, Origin: 'https://board.example' }, JSON.stringify(body)),
      ]) {
        expect(rejected).toMatchObject({
          status: 503,
          headers: { 'retry-after': '1', 'content-type': expect.stringContaining('problem+json') },
          body: {
            status: 503,
            detail: expect.stringMatching('overloaded'),
            requestId: rejected.headers['x-request-id'],
          },
        });
      }
      // One line of the log a second has the number of rejected requests.
      await until(() => lines.reduce((sum, { rejected = 0 }) => sum + rejected, 0) === 3);
      expect(lines.filter(({ status }) => status === 503)).toEqual([]);
      expect((await send(`${base}/health`, 'GET')).status).toBe(200);
      expect((await send(`${base}/health/live`, 'GET')).status).toBe(200);
      expect((await service.db.pool.query(`select from ${table}`)).rowCount).toBe(0);

      release();
      expect(new Set((await Promise.all(inProgress)).map(({ status }) => status))).toEqual(new Set([200]));
      expect((await send(base + create, 'POST', json, JSON.stringify(body))).status).toBe(201);
      await service.stop();
    });

    it('returns 503 to requests with an idempotency key when the wait queue of the pool is full', async () => {
      const service = await serve(name, handlers);
      const base = service.url + prefix;
      const { pool } = service.db;
      const taken = await Promise.all(Array.from({ length: 10 }, () => pool.connect()));
      const post = (key: string) =>
        send(base + create, 'POST', { ...json, 'Idempotency-Key': key }, JSON.stringify(newBody()));
      const waiting = Array.from({ length: 250 }, (_, index) => post(`waits ${index}`));
      while (pool.waitingCount < 250) await new Promise(setImmediate);

      const rejected = await post('one more');
      expect(rejected).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
      expect(rejected.body.detail).toMatch('overloaded');
      // A batched statement does not wait for long.
      const batched = send(base + create, 'POST', json, JSON.stringify(newBody()));
      for (const client of taken) client.release();
      expect((await batched).status).toBe(201);
      const statuses = (await Promise.all(waiting)).map(({ status }) => status);
      expect(statuses.filter((status) => ![201, 503].includes(status))).toEqual([]);
      expect(statuses.filter((status) => status === 201).length).toBeGreaterThan(0);
      await service.stop();
    });

    it('returns 503 when incomplete bodies exceed 64 MB, and frees the memory when clients disconnect', async () => {
      const service = await serve(name, handlers);
      const url = service.url + prefix;
      const largeBody = JSON.stringify(newBody()).padEnd(1_000_000);
      const incomplete = formatRequest('POST', prefix + create, json, largeBody).slice(0, -1);
      const sockets = await Promise.all(Array.from({ length: 70 }, () => openSocket(service.url)));
      const rejections = sockets.map((socket) => readResponses(socket, 1));
      for (const socket of sockets) socket.write(incomplete);
      const first = await Promise.race(rejections);
      expect(first).toMatchObject([{ status: 503, headers: { 'retry-after': '1' } }]);
      for (const socket of sockets) socket.destroy();
      await Promise.all(rejections);
      await until(async () => (await send(url + create, 'POST', json, largeBody)).status === 201);
      const taken = Array.from({ length: 40 }, () =>
        send(url + create, 'POST', json, JSON.stringify(newBody()).padEnd(1_000_000)),
      );
      expect(new Set((await Promise.all(taken)).map(({ status }) => status))).toEqual(new Set([201]));
      await service.stop();
    });

    it('does not count 600 open event streams as load', async () => {
      const service = await serve(name, handlers);
      const base = service.url + prefix;
      const waiting = Array.from({ length: 600 }, () =>
        open(`${base}${list}/feed`, 'GET', { Accept: 'text/event-stream' }),
      );
      const streams = await Promise.all(waiting);
      expect(new Set(streams.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
      expect((await send(base + create, 'POST', json, JSON.stringify(body))).status).toBe(201);
      for (const stream of streams) stream.destroy();
      await service.stop();
    });
  });
}
