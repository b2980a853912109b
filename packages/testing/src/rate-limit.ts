/** Proves the rate limit of a service (decision 014), across replicas and behind proxies. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { countRequests, type RateLimit } from '@task-manager/runtime/http/rate-limit';
import { serve, type TestService } from './harness.ts';
import { until } from './until.ts';
import { json, newBodies, send, type TestResponse, type Subject } from './subject.ts';

export function testRateLimit(subject: Subject): void {
  const { name, handlers, create, list, prefix, table } = subject;
  const schema = table.split('.', 1)[0] ?? '';
  const newBody = newBodies(subject);
  /** A replica without a rate limit, whose database the others share. */
  let unlimited: TestService;
  let replicas: TestService[] = [];

  beforeAll(async () => {
    unlimited = await serve(name, handlers);
  });
  afterAll(() => unlimited.stop());
  beforeEach(() => unlimited.db.pool.query(`truncate ${schema}.rate_limits`));
  afterEach(async () => {
    await Promise.all(replicas.map((each) => each.stop()));
    replicas = [];
  });

  async function start(rateLimit: Partial<RateLimit>): Promise<TestService> {
    const replica = await serve(name, handlers, { rateLimit, databaseOf: unlimited });
    replicas.push(replica);
    return replica;
  }

  /** Trusts the X-Forwarded-For header of `getList`. */
  const behindProxy = { trustedProxies: ['127.0.0.1'] };

  function getList({ url }: TestService, from?: string, headers: Record<string, string> = {}): Promise<TestResponse> {
    return send(url + prefix + list, 'GET', { ...headers, ...(from && { 'X-Forwarded-For': from }) });
  }

  async function statuses(service: TestService, ...from: (string | undefined)[]): Promise<number[]> {
    const received: number[] = [];
    for (const each of from) received.push((await getList(service, each)).status);
    return received;
  }

  async function countRows(relation: string): Promise<number> {
    const { rows } = await unlimited.db.pool.query<{ count: number }>(`select count(*)::integer from ${relation}`);
    return rows[0]?.count ?? 0;
  }

  function quotaOf({ headers }: TestResponse): { left: number; resetS: number } {
    const [, left, resetS] = /^"default";r=(\d+);t=(\d+)$/.exec(String(headers.ratelimit)) ?? [];
    return { left: Number(left), resetS: Number(resetS) };
  }

  describe('rate limit', () => {
    it('counts down the remaining requests in the headers of each response', async () => {
      const service = await start({ requests: 5 });
      const responses = [
        await getList(service),
        await send(`${service.url}${prefix}${list}?unknown=1`, 'GET'),
        await send(`${service.url}${prefix}${list}/no`, 'GET'),
        await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody())),
        await send(service.url + prefix + list, 'HEAD'),
      ];
      expect(responses.map(({ status }) => status)).toEqual([200, 400, 400, 201, 200]);
      expect(responses.map((response) => quotaOf(response).left)).toEqual([4, 3, 2, 1, 0]);
      for (const response of responses) {
        expect(response.headers['ratelimit-policy']).toBe('"default";q=5;w=60');
        expect(quotaOf(response).resetS).toBeGreaterThan(50);
        expect(quotaOf(response).resetS).toBeLessThanOrEqual(60);
      }
    });

    it('returns 429 and writes nothing when a client exceeds it', async () => {
      const service = await start({ requests: 1 });
      await getList(service);
      const before = await countRows(table);
      for (let index = 0; index < 3; index++) {
        const response = await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody()));
        const { left, resetS } = quotaOf(response);
        expect(response).toMatchObject({
          status: 429,
          headers: { 'retry-after': String(resetS), 'content-type': expect.stringContaining('problem+json') },
          body: {
            type: `${prefix}/problems/too-many-requests`,
            status: 429,
            detail: `A client may send 1 requests in 60 s. Retry in ${resetS} s.`,
            instance: prefix + create,
          },
        });
        expect([left, response.headers['ratelimit-policy']]).toEqual([0, '"default";q=1;w=60']);
      }
      expect(await countRows(table)).toBe(before);
      const page = await send(`${service.url}${prefix}/problems/too-many-requests`, 'GET');
      expect([page.status, page.text]).toEqual([200, expect.stringContaining('Too many requests')]);
    });

    it('allows requests again when the window is over', async () => {
      const service = await start({ requests: 1, windowS: 1 });
      expect(await statuses(service, undefined, undefined)).toEqual([200, 429]);
      const waited = performance.now();
      await until(async () => (await getList(service)).status === 200);
      expect(performance.now() - waited).toBeLessThan(1500);
    });

    it('is shared by all replicas', async () => {
      const [one, other] = [await start({ requests: 4 }), await start({ requests: 4 })];
      const received = [];
      for (const service of [one, other, one, other, one, other]) received.push((await getList(service)).status);
      expect(received).toEqual([200, 200, 200, 200, 429, 429]);
    });

    it('allows no more requests when they are concurrent', async () => {
      const [one, other] = [await start({ requests: 10 }), await start({ requests: 10 })];
      const responses = await Promise.all(Array.from({ length: 40 }, (_, index) => getList(index % 2 ? one : other)));
      expect(responses.filter(({ status }) => status === 200)).toHaveLength(10);
      expect(responses.filter(({ status }) => status === 429)).toHaveLength(30);
    });

    it('counts each request once when many clients use two replicas concurrently', async () => {
      const [one, other] = [
        await start({ requests: 100, ...behindProxy }),
        await start({ requests: 100, ...behindProxy }),
      ];
      const clients = Array.from({ length: 20 }, (_, index) => `192.0.2.${index}`);
      const sent = [...clients, ...clients, ...clients].flatMap((each) => [getList(one, each), getList(other, each)]);
      expect(new Set((await Promise.all(sent)).map(({ status }) => status))).toEqual(new Set([200]));
      const last = await Promise.all(clients.map((each) => getList(one, each)));
      expect(new Set(last.map((response) => quotaOf(response).left))).toEqual(new Set([93]));
    });

    it('locks clients in the order of their addresses, so that replicas do not deadlock', async () => {
      await countRequests(unlimited.db, ['a', 'b', 'c'], 60_000);
      const holder = await unlimited.db.pool.connect();
      const keys = async (query: string) =>
        (await holder.query<{ key: string }>(`select key from ${schema}.rate_limits where ${query}`)).rows;
      await holder.query('begin');
      await keys(`key = 'b' for update`);
      const counting = countRequests(unlimited.db, ['c', 'b', 'a'], 60_000);
      await until(async () => (await holder.query('select from pg_locks where not granted')).rowCount !== 0);
      expect(await keys('true order by key for update skip locked')).toEqual([{ key: 'b' }, { key: 'c' }]);
      await holder.query('rollback');
      holder.release();
      expect(await counting).toMatchObject([{ points: 2 }, { points: 2 }, { points: 2 }]);
    });

    it('does not query the database when the client has exceeded it', async () => {
      const service = await start({ requests: 1 });
      expect(await statuses(service, undefined, undefined)).toEqual([200, 429]);
      let acquired = 0;
      service.db.pool.on('acquire', () => (acquired += 1));
      for (let index = 0; index < 20; index++) expect((await getList(service)).status).toBe(429);
      expect(acquired).toBe(0);
    });

    it('is separate for each client', async () => {
      const service = await start({ requests: 1, ...behindProxy });
      expect(await statuses(service, '192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.1')).toEqual([200, 429, 200, 429]);
    });

    it('exposes a 429 and its headers to pages of allowed origins', async () => {
      const service = await start({ requests: 1 });
      await getList(service);
      const { status, headers } = await getList(service, undefined, { Origin: 'https://board.example' });
      expect([status, headers['access-control-allow-origin']]).toEqual([429, 'https://board.example']);
      expect(headers['access-control-expose-headers']).toMatch(/RateLimit.*Retry-After|Retry-After.*RateLimit/);
    });
  });

  describe('rate limit: client address', () => {
    it('ignores X-Forwarded-For when the proxy is not trusted', async () => {
      const service = await start({ requests: 2 });
      expect(await statuses(service, '192.0.2.1', '192.0.2.2', '192.0.2.3')).toEqual([200, 200, 429]);
    });

    it('is the last untrusted address of X-Forwarded-For when the proxy is trusted', async () => {
      const service = await start({ requests: 1, trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] });
      const forged = ['192.0.2.1', '1.1.1.1, 192.0.2.1', '2.2.2.2,192.0.2.1, 10.1.2.3', 'unknown, 192.0.2.1'];
      expect(await statuses(service, ...forged)).toEqual([200, 429, 429, 429]);
      expect(await statuses(service, '192.0.2.1, 192.0.2.2', 'unknown', 'x'.repeat(5000))).toEqual([200, 200, 200]);
    });

    it('is the /64 network of IPv6, and the address of IPv4 in each notation', async () => {
      const service = await start({ requests: 1, ...behindProxy });
      const same = ['2001:db8:0:1::1', '2001:DB8:0:1:ffff:ffff:ffff:ffff', '2001:0db8:0000:0001::3'];
      expect(await statuses(service, ...same, '2001:db8:0:2::1')).toEqual([200, 429, 429, 200]);
      expect(await statuses(service, '192.0.2.1', '::ffff:192.0.2.1', '::ffff:c000:201')).toEqual([200, 429, 429]);
    });

    it('is absent when a trusted proxy sends its own request', async () => {
      const service = await start({ requests: 1, ...behindProxy });
      expect(await statuses(service, undefined, undefined, undefined)).toEqual([200, 200, 200]);
      expect(await countRows(`${schema}.rate_limits`)).toBe(0);
    });
  });

  describe('rate limit: scope', () => {
    it('excludes health checks, pages and requests that match no operation', async () => {
      const service = await start({ requests: 1 });
      expect(await statuses(service, undefined, undefined)).toEqual([200, 429]);
      for (const [method, path, status] of [
        ['GET', '/health', 200],
        ['GET', '/health/live', 200],
        ['GET', '/', 200],
        ['GET', '/openapi.yaml', 200],
        ['OPTIONS', list, 204],
        ['PUT', list, 405],
        ['GET', '/nowhere', 404],
      ] as const) {
        const response = await send(service.url + prefix + path, method);
        expect({ path, status: response.status }).toEqual({ path, status });
        expect(response.headers).not.toHaveProperty('ratelimit');
      }
    });

    it('sends no headers and writes no row when no limit is configured', async () => {
      const { status, headers } = await getList(unlimited);
      expect(status).toBe(200);
      expect(Object.keys(headers).filter((header) => header.startsWith('ratelimit'))).toEqual([]);
      expect(await countRows(`${schema}.rate_limits`)).toBe(0);
    });

    it('deletes expired windows', async () => {
      const service = await start({ requests: 9, windowS: 1, ...behindProxy });
      for (let index = 0; index < 8; index++) await getList(service, `192.0.2.${index}`);
      expect(await countRows(`${schema}.rate_limits`)).toBe(8);
      let clients = 8;
      await until(async () => {
        clients += 1;
        await getList(service, `198.51.100.${clients}`);
        const { rows: expired } = await unlimited.db.pool.query(
          `select from ${schema}.rate_limits where key like '192.0.2.%'`,
        );
        return expired.length === 0;
      });
    });
  });

  describe('rate limit: database failures', () => {
    it('returns 503 while the database is unavailable', async () => {
      const service = await start({ requests: 1 });
      Object.assign(service.db.pool.options, { port: 1 });
      for (let index = 0; index < 3; index++) {
        expect(await getList(service)).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
      }
    });

    it('returns 503 within 2 s and writes nothing while the database does not respond', async () => {
      const service = await start({ requests: 1 });
      const before = await countRows(table);
      const locker = await unlimited.db.pool.connect();
      await locker.query(`begin; lock table ${schema}.rate_limits in access exclusive mode`);
      const began = performance.now();
      const response = await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody()));
      const tookMs = performance.now() - began;
      await locker.query('rollback');
      locker.release();
      expect(response).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
      expect(tookMs).toBeLessThan(2000);
      expect(await countRows(table)).toBe(before);
    });

    it('allows reads without counting while the database is read-only', async () => {
      const service = await start({ requests: 1 });
      Object.assign(service.db.pool.options, { options: '-c default_transaction_read_only=on' });
      expect(await statuses(service, undefined, undefined)).toEqual([200, 200]);
      expect((await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody()))).status).toBe(503);
    });
  });
}
