/** Rate limits (decision 014), as promises that each service's tests hold it to. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { countRequests, type RateLimit } from '@task-manager/runtime/http/rate-limit';
import { serve, type TestService } from './harness.ts';
import { until } from './processes.ts';
import { json, newBodies, send, type TestResponse, type Subject } from './subject.ts';

export function testRateLimit(subject: Subject): void {
  const { name, handlers, create, list, prefix, table } = subject;
  const schema = table.split('.', 1)[0] ?? '';
  const newBody = newBodies(subject);
  /** Limits nobody; its database is that of all the others. */
  let free: TestService;
  let replicas: TestService[] = [];

  beforeAll(async () => {
    free = await serve(name, handlers);
  });
  afterAll(() => free.stop());
  beforeEach(() => free.db.pool.query(`truncate ${schema}.rate_limits`));
  afterEach(async () => {
    await Promise.all(replicas.map((each) => each.stop()));
    replicas = [];
  });

  async function start(rateLimit: Partial<RateLimit>): Promise<TestService> {
    const replica = await serve(name, handlers, { rateLimit, databaseOf: free });
    replicas.push(replica);
    return replica;
  }

  /** Behind a proxy that is trusted, as each client that `from` names. */
  const behindProxy = { trustedProxies: ['127.0.0.1'] };

  function ask({ url }: TestService, from?: string, headers: Record<string, string> = {}): Promise<TestResponse> {
    return send(url + prefix + list, 'GET', { ...headers, ...(from && { 'X-Forwarded-For': from }) });
  }

  async function statuses(service: TestService, ...from: (string | undefined)[]): Promise<number[]> {
    const answered: number[] = [];
    for (const each of from) answered.push((await ask(service, each)).status);
    return answered;
  }

  async function rows(of: string): Promise<number> {
    const { rows: found } = await free.db.pool.query<{ count: number }>(`select count(*)::integer from ${of}`);
    return found[0]?.count ?? 0;
  }

  function standingOf({ headers }: TestResponse): { left: number; resetS: number } {
    const [, left, resetS] = /^"default";r=(\d+);t=(\d+)$/.exec(String(headers.ratelimit)) ?? [];
    return { left: Number(left), resetS: Number(resetS) };
  }

  describe('a client', () => {
    it('is told with each answer how many requests are left to it', async () => {
      const service = await start({ requests: 5 });
      const answers = [
        await ask(service),
        await send(`${service.url}${prefix}${list}?unknown=1`, 'GET'),
        await send(`${service.url}${prefix}${list}/no`, 'GET'),
        await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody())),
        await send(service.url + prefix + list, 'HEAD'),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 400, 400, 201, 200]);
      expect(answers.map((answer) => standingOf(answer).left)).toEqual([4, 3, 2, 1, 0]);
      for (const answer of answers) {
        expect(answer.headers['ratelimit-policy']).toBe('"default";q=5;w=60');
        expect(standingOf(answer).resetS).toBeGreaterThan(50);
        expect(standingOf(answer).resetS).toBeLessThanOrEqual(60);
      }
    });

    it('is refused with 429 when it sends more, and nothing is done', async () => {
      const service = await start({ requests: 1 });
      await ask(service);
      const before = await rows(table);
      for (let index = 0; index < 3; index++) {
        const answer = await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody()));
        const { left, resetS } = standingOf(answer);
        expect(answer).toMatchObject({
          status: 429,
          headers: { 'retry-after': String(resetS), 'content-type': expect.stringContaining('problem+json') },
          body: {
            type: `${prefix}/problems/too-many-requests`,
            status: 429,
            detail: `A client may send 1 requests in 60 s. Retry in ${resetS} s.`,
            instance: prefix + create,
          },
        });
        expect([left, answer.headers['ratelimit-policy']]).toEqual([0, '"default";q=1;w=60']);
      }
      expect(await rows(table)).toBe(before);
      const page = await send(`${service.url}${prefix}/problems/too-many-requests`, 'GET');
      expect([page.status, page.text]).toEqual([200, expect.stringContaining('Too many requests')]);
    });

    it('is served again when its window is over', async () => {
      const service = await start({ requests: 1, windowS: 1 });
      expect(await statuses(service, undefined, undefined)).toEqual([200, 429]);
      const waited = performance.now();
      await until(async () => (await ask(service)).status === 200);
      expect(performance.now() - waited).toBeLessThan(1500);
    });

    it('has one limit with all replicas', async () => {
      const [one, other] = [await start({ requests: 4 }), await start({ requests: 4 })];
      const answered = [];
      for (const service of [one, other, one, other, one, other]) answered.push((await ask(service)).status);
      expect(answered).toEqual([200, 200, 200, 200, 429, 429]);
    });

    it('is served no more than it may when it asks for all at once', async () => {
      const [one, other] = [await start({ requests: 10 }), await start({ requests: 10 })];
      const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index % 2 ? one : other)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
      expect(answers.filter(({ status }) => status === 429)).toHaveLength(30);
    });

    it('is counted once for each request, whoever else asks two replicas at once', async () => {
      const [one, other] = [
        await start({ requests: 100, ...behindProxy }),
        await start({ requests: 100, ...behindProxy }),
      ];
      const clients = Array.from({ length: 20 }, (_, index) => `192.0.2.${index}`);
      const asked = [...clients, ...clients, ...clients].flatMap((each) => [ask(one, each), ask(other, each)]);
      expect(new Set((await Promise.all(asked)).map(({ status }) => status))).toEqual(new Set([200]));
      const last = await Promise.all(clients.map((each) => ask(one, each)));
      expect(new Set(last.map((answer) => standingOf(answer).left))).toEqual(new Set([93]));
    });

    it('is counted after those whose address comes before, so that two replicas never wait for each other', async () => {
      await countRequests(free.db, ['a', 'b', 'c'], 60_000);
      const holder = await free.db.pool.connect();
      const keys = async (query: string) =>
        (await holder.query<{ key: string }>(`select key from ${schema}.rate_limits where ${query}`)).rows;
      await holder.query('begin');
      await keys(`key = 'b' for update`);
      const counting = countRequests(free.db, ['c', 'b', 'a'], 60_000);
      await until(async () => (await holder.query('select from pg_locks where not granted')).rowCount !== 0);
      expect(await keys('true order by key for update skip locked')).toEqual([{ key: 'b' }, { key: 'c' }]);
      await holder.query('rollback');
      holder.release();
      expect(await counting).toMatchObject([{ points: 2 }, { points: 2 }, { points: 2 }]);
    });

    it('costs the database nothing when it is over', async () => {
      const service = await start({ requests: 1 });
      expect(await statuses(service, undefined, undefined)).toEqual([200, 429]);
      let asked = 0;
      service.db.pool.on('acquire', () => (asked += 1));
      for (let index = 0; index < 20; index++) expect((await ask(service)).status).toBe(429);
      expect(asked).toBe(0);
    });

    it('does not pay for others', async () => {
      const service = await start({ requests: 1, ...behindProxy });
      expect(await statuses(service, '192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.1')).toEqual([200, 429, 200, 429]);
    });

    it('may read from a page of another origin that it is refused', async () => {
      const service = await start({ requests: 1 });
      await ask(service);
      const { status, headers } = await ask(service, undefined, { Origin: 'https://board.example' });
      expect([status, headers['access-control-allow-origin']]).toEqual([429, 'https://board.example']);
      expect(headers['access-control-expose-headers']).toMatch(/RateLimit.*Retry-After|Retry-After.*RateLimit/);
    });
  });

  describe('who a client is', () => {
    it('is not for itself to say', async () => {
      const service = await start({ requests: 2 });
      expect(await statuses(service, '192.0.2.1', '192.0.2.2', '192.0.2.3')).toEqual([200, 200, 429]);
    });

    it('says a proxy that is trusted, by the last address that is not of one', async () => {
      const service = await start({ requests: 1, trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] });
      const forged = ['192.0.2.1', '1.1.1.1, 192.0.2.1', '2.2.2.2,192.0.2.1, 10.1.2.3', 'unknown, 192.0.2.1'];
      expect(await statuses(service, ...forged)).toEqual([200, 429, 429, 429]);
      expect(await statuses(service, '192.0.2.1, 192.0.2.2', 'unknown', 'x'.repeat(5000))).toEqual([200, 200, 200]);
    });

    it('is of IPv6 its network, and of IPv4 its address however it is written', async () => {
      const service = await start({ requests: 1, ...behindProxy });
      const same = ['2001:db8:0:1::1', '2001:DB8:0:1:ffff:ffff:ffff:ffff', '2001:0db8:0000:0001::3'];
      expect(await statuses(service, ...same, '2001:db8:0:2::1')).toEqual([200, 429, 429, 200]);
      expect(await statuses(service, '192.0.2.1', '::ffff:192.0.2.1', '::ffff:c000:201')).toEqual([200, 429, 429]);
    });

    it('is nobody when a proxy that is trusted asks for itself', async () => {
      const service = await start({ requests: 1, ...behindProxy });
      expect(await statuses(service, undefined, undefined, undefined)).toEqual([200, 200, 200]);
      expect(await rows(`${schema}.rate_limits`)).toBe(0);
    });
  });

  describe('what is limited', () => {
    it('is neither the health nor a page nor what there is not', async () => {
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
        const answer = await send(service.url + prefix + path, method);
        expect({ path, status: answer.status }).toEqual({ path, status });
        expect(answer.headers).not.toHaveProperty('ratelimit');
      }
    });

    it('is nothing by default: no header says so, and no row is written', async () => {
      const { status, headers } = await ask(free);
      expect(status).toBe(200);
      expect(Object.keys(headers).filter((header) => header.startsWith('ratelimit'))).toEqual([]);
      expect(await rows(`${schema}.rate_limits`)).toBe(0);
    });

    it('is forgotten when it is over', async () => {
      const service = await start({ requests: 9, windowS: 1, ...behindProxy });
      for (let index = 0; index < 8; index++) await ask(service, `192.0.2.${index}`);
      expect(await rows(`${schema}.rate_limits`)).toBe(8);
      let clients = 8;
      await until(async () => {
        clients += 1;
        await ask(service, `198.51.100.${clients}`);
        const { rows: old } = await free.db.pool.query(`select from ${schema}.rate_limits where key like '192.0.2.%'`);
        return old.length === 0;
      });
    });
  });

  describe('when it cannot be counted', () => {
    it('answers 503 while the database is away', async () => {
      const service = await start({ requests: 1 });
      Object.assign(service.db.pool.options, { port: 1 });
      for (let index = 0; index < 3; index++) {
        expect(await ask(service)).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
      }
    });

    it('answers 503 within 2 s while the database does not answer, and does nothing', async () => {
      const service = await start({ requests: 1 });
      const before = await rows(table);
      const locker = await free.db.pool.connect();
      await locker.query(`begin; lock table ${schema}.rate_limits in access exclusive mode`);
      const began = performance.now();
      const answer = await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody()));
      const tookMs = performance.now() - began;
      await locker.query('rollback');
      locker.release();
      expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
      expect(tookMs).toBeLessThan(2000);
      expect(await rows(table)).toBe(before);
    });

    it('serves what a database can do that can only be read', async () => {
      const service = await start({ requests: 1 });
      Object.assign(service.db.pool.options, { options: '-c default_transaction_read_only=on' });
      expect(await statuses(service, undefined, undefined)).toEqual([200, 200]);
      expect((await send(service.url + prefix + create, 'POST', json, JSON.stringify(newBody()))).status).toBe(503);
    });
  });
}
