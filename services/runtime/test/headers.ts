/** What a contract says of headers, as promises that each service's tests hold it to. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { send, type Answer, type Subject } from './conventions.ts';
import { serve, type TestService } from './harness.ts';

interface Header {
  required?: boolean;
  schema: { const?: string; pattern?: string; maxLength?: number };
}
type Referred<Value> = Value | { $ref: string };
interface Response {
  headers?: Record<string, Referred<Header>>;
}
interface Document {
  paths: Record<string, Record<string, { operationId?: string; responses: Record<string, Referred<Response>> }>>;
  components: { responses: Record<string, Referred<Response>> };
}

/** What a response has only if the contract says so. */
const named = ['etag', 'link', 'location', 'idempotent-replayed', 'retry-after', 'allow'];

export function sendsItsHeaders(subject: Subject): void {
  const { name, create, list, prefix } = subject;
  const contract = parse(readFileSync(new URL(`../../../generated/${name}.yaml`, import.meta.url), 'utf8')) as Document;
  const json = { 'Content-Type': 'application/json' };
  let service: TestService;
  let base: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
    base = service.url + prefix;
  });
  afterAll(() => service.stop());

  let made = 0;
  function newBody(): string {
    made += 1;
    const { email } = subject.body;
    const text = `${subject.body[subject.text]} ${made}`;
    return JSON.stringify({ ...subject.body, [subject.text]: text, ...(email && { email: `${made}.${email}` }) });
  }

  const post = (headers = {}, body = newBody()) => send(base + create, 'POST', { ...json, ...headers }, body);

  it('sends each header that the contract requires, and none that it does not declare', async () => {
    const [, createOperation] = operationOf('post', create);
    const operation = (method: string, path = `${list}/{`) => operationOf(method, path)[1];
    const [getOne, patchOne, deleteOne] = [operation('get'), operation('patch'), operation('delete')];
    const [listAll, feed] = [operation('get', list), operation('get', `${list}/feed`)];

    expectDeclared(createOperation, 201, await post());
    const keyed = newBody();
    const first = await post({ 'Idempotency-Key': 'a' }, keyed);
    expectDeclared(createOperation, 201, first);
    const replayed = await post({ 'Idempotency-Key': 'a' }, keyed);
    expectDeclared(createOperation, 201, replayed);
    expect(replayed.headers['idempotent-replayed']).toBe('true');
    expectDeclared(createOperation, 422, await post({ 'Idempotency-Key': 'a' }));
    expectDeclared(createOperation, 400, await post({}, '{}'));
    expectDeclared(createOperation, 406, await post({ Accept: 'text/html' }));
    expectDeclared(createOperation, 413, await post({}, JSON.stringify({ [subject.text]: 'x'.repeat(1_100_000) })));
    expectDeclared(createOperation, 415, await post({ 'Content-Type': 'text/plain' }));

    const page = await send(`${base}${list}?limit=1`, 'GET');
    expectDeclared(listAll, 200, page);
    expect(page.headers).toHaveProperty('link');
    expectDeclared(listAll, 200, await send(`${base}${list}`, 'GET'));
    expectDeclared(listAll, 304, await send(`${base}${list}?limit=1`, 'GET', { 'If-None-Match': '*' }));
    expectDeclared(listAll, 400, await send(`${base}${list}?limit=0`, 'GET'));
    expectDeclared(listAll, 406, await send(base + list, 'GET', { Accept: 'text/html' }));

    const url = service.url + String(first.headers.location);
    expectDeclared(getOne, 200, await send(url, 'GET'));
    expectDeclared(getOne, 304, await send(url, 'GET', { 'If-None-Match': '"1"' }));
    expectDeclared(patchOne, 200, await send(url, 'PATCH', json, '{}'));
    expectDeclared(patchOne, 400, await send(url, 'PATCH', json, '[]'));
    expectDeclared(patchOne, 412, await send(url, 'PATCH', { ...json, 'If-Match': '"1"' }, '{}'));
    expectDeclared(patchOne, 415, await send(url, 'PATCH', { 'Content-Type': 'text/plain' }, '{}'));
    expectDeclared(deleteOne, 412, await send(url, 'DELETE', { 'If-Match': '"1"' }));
    expectDeclared(deleteOne, 204, await send(url, 'DELETE'));
    for (const [method, id] of [
      ['DELETE', deleteOne],
      ['PATCH', patchOne],
      ['GET', getOne],
    ] as const) {
      expectDeclared(
        id,
        404,
        await send(url, method, method === 'PATCH' ? json : {}, method === 'PATCH' ? '{}' : undefined),
      );
    }

    expectDeclared(feed, 200, await send(`${base}${list}/feed`, 'GET'));
    expectDeclared(feed, 304, await send(`${base}${list}/feed`, 'GET', { 'If-None-Match': '*' }));
    expectDeclared(feed, 400, await send(`${base}${list}/feed?wait=21`, 'GET'));
    expectDeclared(feed, 200, await send(`${base}${list}/feed`, 'HEAD', { Accept: 'text/event-stream' }));
    expectDeclared('getHealth', 200, await send(`${base}/health`, 'GET'));
    expectDeclared('getLiveness', 200, await send(`${base}/health/live`, 'GET'));

    const refused = await send(base + list, 'TRACE');
    expect(refused.status).toBe(405);
    expectHeaders(contract.components.responses.MethodNotAllowed, refused);
    service.db.migrated = false;
    expectDeclared(listAll, 503, await send(base + list, 'GET'));
    expectDeclared(createOperation, 503, await post());
    service.health.reason = 'The test says so.';
    expectDeclared('getHealth', 503, await send(`${base}/health`, 'GET'));
    service.db.migrated = true;
    service.health.reason = undefined;
  });

  describe('Link', () => {
    it('leads through the whole list, under the prefix and with the filters that were asked for', async () => {
      for (let index = 0; index < 5; index++) await post();
      const word = String(subject.body[subject.text]).split(' ')[0] ?? '';
      const { body: all } = await send(`${base}${list}?limit=100&q=${word}`, 'GET');
      const found: unknown[] = [];
      let next: string | undefined = `${prefix}${list}?limit=2&q=${word}`;
      while (next) {
        const { headers, body }: Answer = await send(service.url + next, 'GET');
        found.push(...(body.items as unknown[]));
        const [, target] = /^<(.*)>; rel="next"$/.exec(String(headers.link)) ?? [];
        expect(target === undefined).toBe(body.nextCursor === null);
        if (target) expect(target).toMatch(new RegExp(`^${prefix}${list}\\?limit=2&q=${word}&cursor=`));
        next = target;
      }
      expect(found).toEqual(all.items);
      expect(found.length).toBeGreaterThan(4);
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
        for (const header of ['ETag', 'Link', 'Location', 'Retry-After', 'Idempotent-Replayed', 'X-Request-Id']) {
          expect(headers['access-control-expose-headers']?.split(',')).toContain(header);
        }
      }
    });

    it('tells pages of other origins nothing', async () => {
      const { status, headers } = await send(base + list, 'GET', { Origin: 'https://elsewhere.example' });
      expect(status).toBe(200);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    });

    it('is off when no origin is configured', async () => {
      const closed = await serve(name, subject.handlers, []);
      const { headers } = await send(`${closed.url}${list}`, 'GET', origin);
      expect(Object.keys(headers).filter((header) => header.startsWith('access-control'))).toEqual([]);
      await closed.stop();
    });
  });

  /** The method and the operationId of what stands at the path, or at the first that begins so. */
  function operationOf(method: string, path: string): [string, string] {
    const [, item] =
      Object.entries(contract.paths).find(([each]) => each === path || (path.endsWith('{') && each.startsWith(path))) ??
      [];
    return [method, item?.[method]?.operationId ?? `nothing at ${method} ${path}`];
  }

  function expectDeclared(operationId: string, status: number, answer: Answer): void {
    expect({ operationId, status: answer.status, text: answer.text }).toMatchObject({ operationId, status });
    const operations = Object.values(contract.paths).flatMap((item) => Object.values(item));
    expectHeaders(operations.find((each) => each.operationId === operationId)?.responses[status], answer);
  }

  function expectHeaders(response: Referred<Response> | undefined, { headers, status }: Answer): void {
    if (!response) throw new Error(`the contract has no ${status} there`);
    const declared = Object.entries(lookUp(response).headers ?? {}).map(
      ([key, each]) => [key.toLowerCase(), lookUp(each)] as const,
    );
    for (const [key, { required, schema }] of declared) {
      const value = headers[key];
      if (required) expect({ status, [key]: value }).toEqual({ status, [key]: expect.any(String) });
      if (typeof value !== 'string') continue;
      if (schema.const !== undefined) expect(value).toBe(schema.const);
      if (schema.pattern) expect(value).toMatch(new RegExp(schema.pattern));
      expect(value.length).toBeLessThanOrEqual(schema.maxLength ?? Infinity);
    }
    const sent = named.filter((key) => key in headers);
    expect(sent.filter((key) => !declared.some(([each]) => each === key))).toEqual([]);
  }

  function lookUp<Value extends object>(value: Referred<Value>): Value {
    if (!('$ref' in value)) return value;
    const found = value.$ref
      .split('/')
      .slice(1)
      .reduce<unknown>((parent, key) => (parent as Record<string, unknown>)[key], contract);
    return lookUp(found as Referred<Value>);
  }
}
