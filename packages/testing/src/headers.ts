/** Proves that responses have the headers of the contract, and CORS. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readContract, type Operation } from '@task-manager/runtime/contract/document';
import { serve, type TestService } from './harness.ts';
import { unknownId, type TestResponse, json, newBodies, send, type Subject } from './subject.ts';

/** How a request differs from the default valid one. */
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
    // With a rate limit, so that responses have its headers too.
    service = await serve(name, subject.handlers, { rateLimit: { requests: 1_000_000 } });
    base = service.url + prefix;
    failing = await serve(name, (health) => {
      const names = Object.keys(subject.handlers(health));
      return Object.fromEntries(names.map((each) => [each, () => Promise.reject(new Error('a bug'))]));
    });
    exhausted = await serve(name, subject.handlers, { rateLimit: { requests: 1, windowS: 3600 } });
    await send(exhausted.url + prefix + list, 'GET');
  });
  afterAll(() => Promise.all([service.stop(), failing.stop(), exhausted.stop()]));

  /** Requests that provoke each status from any operation. */
  const provoke: Record<number, (operation: Operation) => Promise<TestResponse>> = {
    200: (operation) => request(operation),
    201: (operation) => request(operation),
    204: (operation) => request(operation),
    304: (operation) => request(operation, { headers: { 'If-None-Match': '*' } }),
    400: (operation) => request(operation, { query: '?unknown=1' }),
    404: (operation) => request(operation, { id: unknownId }),
    406: (operation) => request(operation, { headers: { Accept: 'text/html' } }),
    409: async (operation) => request(operation, { body: await subject.conflicts(base) }),
    412: (operation) => request(operation, { headers: { 'If-Match': '"99"' } }),
    413: (operation) => request(operation, { body: { ...newBody(), [text]: 'x'.repeat(2_000_000) } }),
    415: (operation) => request(operation, { headers: { 'Content-Type': 'text/plain' } }),
    async 422(operation) {
      const headers = { 'Idempotency-Key': operation.operationId };
      await request(operation, { headers });
      return request(operation, { headers });
    },
    429: (operation) => request(operation, { server: exhausted }),
    500: (operation) => request(operation, { server: failing }),
    async 503(operation) {
      const id = await createResource();
      service.db.isMigrated = false;
      service.health.reason = 'The database is unavailable.';
      return request(operation, { id }).finally(() => {
        service.db.isMigrated = true;
        service.health.reason = undefined;
      });
    },
  };

  describe('headers', () => {
    for (const operation of contract.operations) {
      const statuses = [...operation.responses.keys()];
      it(`match the contract when ${operation.operationId} returns ${statuses.join(', ')}`, async () => {
        for (const status of statuses) {
          const request = provoke[status];
          if (!request) throw new Error(`provoke has no request for status ${status}: add one to headers.ts`);
          expect(await request(operation)).toMatchObject({ status });
        }
      });
    }
  });

  describe('Accept', () => {
    const negotiated = contract.operations.flatMap((operation) =>
      [200, 201].flatMap((status) => {
        const types = Object.keys(operation.responses.get(status)?.content ?? {});
        return types.map((type) => ({ operation, type, isOneOfSeveral: types.length > 1 }));
      }),
    );
    // An event stream does not end.
    const headOf = (operation: Operation) =>
      operation.method === 'GET' ? { ...operation, method: 'HEAD' } : operation;

    it.each(negotiated.map((each) => [each.operation.operationId, each.type, each] as const))(
      'matches the media type of %s, %s, with any parameters',
      async (_operationId, _type, { operation, type, isOneOfSeveral }) => {
        for (const Accept of [
          `${type};charset=utf-8`,
          `text/html, ${type.toUpperCase()} ; Charset = "UTF-8"; q=0.1; more="a,b;c"`,
          `${type};profile="a;q=0,\\"b";q=0.9, text/html;level=1`,
          `*/*;charset=utf-8;q=0.2, ${type};charset=utf-8;q=0.3`,
        ]) {
          const { status, headers } = await request(headOf(operation), { headers: { Accept } });
          expect({ Accept, status }).toEqual({ Accept, status: operation.method === 'POST' ? 201 : 200 });
          expect(headers['content-type']).toBe(`${type}; charset=utf-8`);
          expect(headers.vary?.split(', ').includes('Accept') ?? false).toBe(isOneOfSeveral);
        }
        for (const Accept of [`${type};charset=utf-8;q=0`, `${type};q=0, */*;q=0`, `text/html;a="${type}"`]) {
          const { status, headers } = await request(headOf(operation), { headers: { Accept } });
          expect({ Accept, status, vary: headers.vary }).toMatchObject({
            Accept,
            status: 406,
            vary: expect.stringContaining('Accept'),
          });
        }
      },
    );

    it('is named in Vary, next to Origin, when CORS and Accept select the response', async () => {
      for (const { operation } of negotiated.filter(({ isOneOfSeveral }) => isOneOfSeveral)) {
        for (const headers of [{}, { 'If-None-Match': '*' }, { Accept: 'text/html' }]) {
          const response = await request(operation, { headers: { ...headers, Origin: 'https://board.example' } });
          expect(response.headers.vary?.split(', ').sort()).toEqual(['Accept', 'Origin']);
        }
      }
    });
  });

  describe('Link', () => {
    it('leads through the whole list, with the prefix and filters of the request', async () => {
      for (let index = 0; index < 5; index++) await createResource();
      const { body: all } = await send(`${base}${list}?limit=100&q=number`, 'GET');
      for (const server of new Set([prefix, ''])) {
        const first = `${server}${list}?limit=2&q=number`;
        const found: unknown[] = [];
        let next: string | undefined = first;
        while (next) {
          const { headers, body }: TestResponse = await send(service.url + next, 'GET');
          found.push(...(body.items as unknown[]));
          const [, target] = /^<(.*)>; rel="next"$/.exec(String(headers.link)) ?? [];
          expect(target).toBe(body.nextCursor ? `${first}&cursor=${body.nextCursor as string}` : undefined);
          next = target;
        }
        expect(found).toEqual(all.items);
        expect(found.length).toBeGreaterThan(4);
      }
    });
  });

  describe('CORS', () => {
    const origin = { Origin: 'https://board.example' };

    it('allows configured origins to send the methods and headers of the contract', async () => {
      const preflight = {
        'Access-Control-Request-Method': 'PATCH',
        'Access-Control-Request-Headers': 'content-type,if-match',
      };
      const { status, headers } = await send(`${base}${list}/x`, 'OPTIONS', { ...origin, ...preflight });
      expect([status, headers['access-control-allow-origin']]).toEqual([204, 'https://board.example']);
      expect(headers['access-control-allow-methods']?.split(',')).toEqual(
        expect.arrayContaining(['GET', 'POST', 'PATCH', 'DELETE']),
      );
      for (const header of ['Content-Type', 'If-Match', 'If-None-Match', 'Idempotency-Key', 'Last-Event-ID']) {
        expect(headers['access-control-allow-headers']?.split(',')).toContain(header);
      }
    });

    it('exposes every header of the contract to configured origins', async () => {
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

    it('sends no CORS headers to other origins', async () => {
      for (const Origin of [
        'https://elsewhere.example',
        'http://board.example',
        'https://board.example:8443',
        'null',
      ]) {
        const { status, headers } = await send(base + list, 'GET', { Origin });
        expect(status).toBe(200);
        expect(headers).not.toHaveProperty('access-control-allow-origin');
        // A cache must not reuse the response for another origin.
        expect(headers.vary).toMatch(/Origin/);
      }
    });

    it('allows every origin without credentials when the origins are *', async () => {
      const open = await serve(name, subject.handlers, { corsOrigins: ['*'] });
      const { headers } = await send(open.url + list, 'GET', { Origin: 'https://anywhere.example' });
      expect(headers['access-control-allow-origin']).toBe('*');
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
      await open.stop();
    });

    it('sends no CORS headers when no origin is configured', async () => {
      const closed = await serve(name, subject.handlers, { corsOrigins: [] });
      const { headers } = await send(`${closed.url}${list}`, 'GET', origin);
      expect(Object.keys(headers).filter((header) => header.startsWith('access-control'))).toEqual([]);
      await closed.stop();
    });
  });

  async function request({ method, path, requestBody }: Operation, variation: Variation = {}): Promise<TestResponse> {
    const { server = service, query = '', headers = {}, body = newBody() } = variation;
    const id = variation.id ?? (path.includes('{') ? await createResource() : '');
    const payload = path === batch ? { items: [body] } : body;
    const url = server.url + prefix + path.replace(/\{\w+\}/, id) + query;
    if (!requestBody) return send(url, method, headers);
    return send(url, method, { ...json, ...headers }, JSON.stringify(payload));
  }

  async function createResource(): Promise<string> {
    const { body } = await send(base + create, 'POST', json, JSON.stringify(newBody()));
    return String(body.id);
  }
}
