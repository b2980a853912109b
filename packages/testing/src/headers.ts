/** What a contract says of headers, as promises that each service's tests hold it to. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readContract, type Operation } from '@task-manager/runtime/contract/document';
import { serve, type TestService } from './harness.ts';
import { unknownId, type TestResponse, json, newBodies, send, type Subject } from './subject.ts';

/** How to ask in another way than the right one. */
interface Variation {
  server?: TestService;
  id?: string;
  query?: string;
  headers?: Record<string, string>;
  body?: object;
}

export function testHeaders(subject: Subject): void {
  const { name, create, batch, list, prefix, text } = subject;
  const contract = readContract(new URL(`../../../generated/${name}.yaml`, import.meta.url));
  const newBody = newBodies(subject);
  let service: TestService;
  let failing: TestService;
  let exhausted: TestService;
  let base: string;

  beforeAll(async () => {
    // With all that an answer may have.
    service = await serve(name, subject.handlers, { rateLimit: { requests: 1_000_000 } });
    base = service.url + prefix;
    failing = await serve(name, (health) => {
      const names = Object.keys(subject.handlers(health));
      return Object.fromEntries(names.map((each) => [each, () => Promise.reject(new Error('a bug'))]));
    });
    exhausted = await serve(name, subject.handlers, { rateLimit: { requests: 1 } });
    await send(exhausted.url + prefix + list, 'GET');
  });
  afterAll(() => Promise.all([service.stop(), failing.stop(), exhausted.stop()]));

  /** How to be answered with each status, whatever the operation. */
  const ways: Record<number, (operation: Operation) => Promise<TestResponse>> = {
    200: (operation) => ask(operation),
    201: (operation) => ask(operation),
    204: (operation) => ask(operation),
    304: (operation) => ask(operation, { headers: { 'If-None-Match': '*' } }),
    400: (operation) => ask(operation, { query: '?unknown=1' }),
    404: (operation) => ask(operation, { id: unknownId }),
    406: (operation) => ask(operation, { headers: { Accept: 'text/html' } }),
    409: async (operation) => ask(operation, { body: await subject.conflicts(base) }),
    412: (operation) => ask(operation, { headers: { 'If-Match': '"99"' } }),
    413: (operation) => ask(operation, { body: { ...newBody(), [text]: 'x'.repeat(2_000_000) } }),
    415: (operation) => ask(operation, { headers: { 'Content-Type': 'text/plain' } }),
    async 422(operation) {
      const headers = { 'Idempotency-Key': operation.operationId };
      await ask(operation, { headers });
      return ask(operation, { headers });
    },
    429: (operation) => ask(operation, { server: exhausted }),
    500: (operation) => ask(operation, { server: failing }),
    async 503(operation) {
      const id = await make();
      service.db.isMigrated = false;
      service.health.reason = 'The database is away.';
      return ask(operation, { id }).finally(() => {
        service.db.isMigrated = true;
        service.health.reason = undefined;
      });
    },
  };

  describe('an answer has the headers that the contract declares for it, and no others,', () => {
    for (const operation of contract.operations) {
      const statuses = [...operation.responses.keys()];
      it(`of ${operation.operationId}, when it is ${statuses.join(', ')}`, async () => {
        for (const status of statuses) {
          const way = ways[status];
          if (!way) throw new Error(`say in this file how to be answered with ${status}`);
          expect(await way(operation)).toMatchObject({ status });
        }
      });
    }
  });

  describe('Link', () => {
    it('leads through the whole list, under the prefix and with the filters that were asked for', async () => {
      for (let index = 0; index < 5; index++) await make();
      const { body: all } = await send(`${base}${list}?limit=100&q=number`, 'GET');
      for (const server of new Set([prefix, ''])) {
        const asked = `${server}${list}?limit=2&q=number`;
        const found: unknown[] = [];
        let next: string | undefined = asked;
        while (next) {
          const { headers, body }: TestResponse = await send(service.url + next, 'GET');
          found.push(...(body.items as unknown[]));
          const [, target] = /^<(.*)>; rel="next"$/.exec(String(headers.link)) ?? [];
          expect(target).toBe(body.nextCursor ? `${asked}&cursor=${body.nextCursor as string}` : undefined);
          next = target;
        }
        expect(found).toEqual(all.items);
        expect(found.length).toBeGreaterThan(4);
      }
    });
  });

  describe('CORS', () => {
    const origin = { Origin: 'https://board.example' };

    it('lets pages of the origins that are configured send what the contract has', async () => {
      const asked = {
        'Access-Control-Request-Method': 'PATCH',
        'Access-Control-Request-Headers': 'content-type,if-match',
      };
      const { status, headers } = await send(`${base}${list}/x`, 'OPTIONS', { ...origin, ...asked });
      expect([status, headers['access-control-allow-origin']]).toEqual([204, 'https://board.example']);
      expect(headers['access-control-allow-methods']?.split(',')).toEqual(
        expect.arrayContaining(['GET', 'POST', 'PATCH', 'DELETE']),
      );
      for (const header of ['Content-Type', 'If-Match', 'If-None-Match', 'Idempotency-Key', 'Last-Event-ID']) {
        expect(headers['access-control-allow-headers']?.split(',')).toContain(header);
      }
    });

    it('lets them read every header that the contract has', async () => {
      for (const { status, headers } of [
        await send(base + list, 'GET', origin),
        await send(`${base}/no`, 'GET', origin),
      ]) {
        expect([status < 500, headers['access-control-allow-origin']]).toEqual([true, 'https://board.example']);
        expect(headers.vary).toMatch(/Origin/);
        const exposed = headers['access-control-expose-headers']?.split(',') ?? [];
        expect(new Set(exposed)).toEqual(contract.headers);
        expect(exposed).toEqual(
          expect.arrayContaining(['ETag', 'Link', 'Location', 'Retry-After', 'Idempotent-Replayed']),
        );
      }
    });

    it('tells pages of other origins nothing', async () => {
      for (const Origin of [
        'https://elsewhere.example',
        'http://board.example',
        'https://board.example:8443',
        'null',
      ]) {
        const { status, headers } = await send(base + list, 'GET', { Origin });
        expect(status).toBe(200);
        expect(headers).not.toHaveProperty('access-control-allow-origin');
        // What is for one origin must not be kept for another.
        expect(headers.vary).toMatch(/Origin/);
      }
    });

    it('is open to every page when that is configured, but never with credentials', async () => {
      const open = await serve(name, subject.handlers, { corsOrigins: ['*'] });
      const { headers } = await send(open.url + list, 'GET', { Origin: 'https://anywhere.example' });
      expect(headers['access-control-allow-origin']).toBe('*');
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
      await open.stop();
    });

    it('is off when no origin is configured', async () => {
      const closed = await serve(name, subject.handlers, { corsOrigins: [] });
      const { headers } = await send(`${closed.url}${list}`, 'GET', origin);
      expect(Object.keys(headers).filter((header) => header.startsWith('access-control'))).toEqual([]);
      await closed.stop();
    });
  });

  async function ask({ method, path, requestBody }: Operation, variation: Variation = {}): Promise<TestResponse> {
    const { server = service, query = '', headers = {}, body = newBody() } = variation;
    const id = variation.id ?? (path.includes('{') ? await make() : '');
    const given = path === batch ? { items: [body] } : body;
    const url = server.url + prefix + path.replace(/\{\w+\}/, id) + query;
    if (!requestBody) return send(url, method, headers);
    return send(url, method, { ...json, ...headers }, JSON.stringify(given));
  }

  async function make(): Promise<string> {
    const { body } = await send(base + create, 'POST', json, JSON.stringify(newBody()));
    return String(body.id);
  }
}
