/** More to do than can be done: each service's tests hold it to these promises. */
import { describe, expect, it } from '@jest/globals';
import { captureLog, serve } from './harness.ts';
import { until } from './processes.ts';
import { readResponses, openSocket, formatRequest } from './raw-http.ts';
import { json, withListHandler, newBodies, open, send, type Subject } from './subject.ts';

export function testOverload(subject: Subject): void {
  const { name, handlers, list, create, body, prefix, table } = subject;

  const bodies = newBodies(subject);

  describe('a service that has as much to do as it can', () => {
    it('refuses more with 503 and Retry-After at once, answers what it has begun, and then serves again', async () => {
      const page = { status: 200, body: { items: [], nextCursor: null } };
      let release: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      let begun = 0;
      const heldBack = withListHandler(subject, async () => {
        begun++;
        await gate;
        return page;
      });
      const { logger, lines } = captureLog();
      const service = await serve(name, heldBack, { logger });
      const base = service.url + prefix;
      const held = Array.from({ length: 2048 }, () => send(base + list, 'GET'));
      while (begun < held.length) await new Promise(setImmediate);

      for (const refused of [
        await send(base + list, 'GET'),
        await send(base + create, 'POST', json, JSON.stringify(body)),
        // One that only Express reads.
        await send(base + create, 'POST', { ...json, Origin: 'https://board.example' }, JSON.stringify(body)),
      ]) {
        expect(refused).toMatchObject({
          status: 503,
          headers: { 'retry-after': '1', 'content-type': expect.stringContaining('problem+json') },
          body: {
            status: 503,
            detail: expect.stringMatching('overloaded'),
            requestId: refused.headers['x-request-id'],
          },
        });
      }
      // One line a second, with how many there were.
      await until(() => lines.reduce((sum, { rejected = 0 }) => sum + rejected, 0) === 3);
      expect(lines.filter(({ status }) => status === 503)).toEqual([]);
      expect((await send(`${base}/health`, 'GET')).status).toBe(200);
      expect((await send(`${base}/health/live`, 'GET')).status).toBe(200);
      expect((await service.db.pool.query(`select from ${table}`)).rowCount).toBe(0);

      release();
      expect(new Set((await Promise.all(held)).map(({ status }) => status))).toEqual(new Set([200]));
      expect((await send(base + create, 'POST', json, JSON.stringify(body))).status).toBe(201);
      await service.stop();
    });

    it('refuses what needs a connection of its own when too many wait for one, and answers those', async () => {
      const service = await serve(name, handlers);
      const base = service.url + prefix;
      const { pool } = service.db;
      const taken = await Promise.all(Array.from({ length: 10 }, () => pool.connect()));
      const post = (key: string) =>
        send(base + create, 'POST', { ...json, 'Idempotency-Key': key }, JSON.stringify(bodies()));
      const waiting = Array.from({ length: 250 }, (_, index) => post(`waits ${index}`));
      while (pool.waitingCount < 250) await new Promise(setImmediate);

      const refused = await post('too much');
      expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
      expect(refused.body.detail).toMatch('overloaded');
      // What shares a statement with others does not wait for long.
      const batched = send(base + create, 'POST', json, JSON.stringify(bodies()));
      for (const client of taken) client.release();
      expect((await batched).status).toBe(201);
      const statuses = (await Promise.all(waiting)).map(({ status }) => status);
      expect(statuses.filter((status) => ![201, 503].includes(status))).toEqual([]);
      expect(statuses.filter((status) => status === 201).length).toBeGreaterThan(0);
      await service.stop();
    });

    it('holds 64 MB of bodies that do not come to an end, refuses more, and lets go of those that break off', async () => {
      const service = await serve(name, handlers);
      const url = service.url + prefix;
      const whole = JSON.stringify(bodies()).padEnd(1_000_000);
      const begin = formatRequest('POST', prefix + create, json, whole).slice(0, -1);
      const sockets = await Promise.all(Array.from({ length: 70 }, () => openSocket(service.url)));
      const refusals = sockets.map((socket) => readResponses(socket, 1));
      for (const socket of sockets) socket.write(begin);
      const first = await Promise.race(refusals);
      expect(first).toMatchObject([{ status: 503, headers: { 'retry-after': '1' } }]);
      for (const socket of sockets) socket.destroy();
      await Promise.all(refusals);
      await until(async () => (await send(url + create, 'POST', json, whole)).status === 201);
      const taken = Array.from({ length: 40 }, () =>
        send(url + create, 'POST', json, JSON.stringify(bodies()).padEnd(1_000_000)),
      );
      expect(new Set((await Promise.all(taken)).map(({ status }) => status))).toEqual(new Set([201]));
      await service.stop();
    });

    it('is not one that many wait at for what happens', async () => {
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
