/** Proves with random valid and invalid requests that the fast path responds as Express does. `REQUESTS=20000` sends more. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolve, readContract, type Document, type Operation } from '@task-manager/runtime/contract/document';
import fc from 'fast-check';
import { serve, type TestService } from './harness.ts';
import { unknownId, json, send, type Subject } from './subject.ts';

/** Enough of them: random requests delete some. */
const twinsMax = 30;
const numRuns = Number(process.env.REQUESTS ?? 1500);

/** A request before it is sent: for each service, `twin` becomes `twina` or `twinb`, and `{…}` an id. */
interface RequestTemplate {
  method: string;
  /** The index of a pair of twins; past the last one, an unknown id. */
  twin: number;
  path: string;
  query: string;
  headers: Record<string, string>;
  body: string | Buffer | undefined;
}

export function testFastPath(subject: Subject): void {
  const { name, prefix, list } = subject;
  const contract = readContract(new URL(`../../../generated/${name}.yaml`, import.meta.url));
  let fast: TestService;
  let express: TestService;
  /** The ids of resources that differ in nothing else: the first for requests to `fast`, the second for `express`. */
  const twins: [string, string][] = [];
  const seen = { fast: 0, validated: 0, statuses: new Set<number>() };

  beforeAll(async () => {
    fast = await serve(name, subject.handlers);
    express = await serve(name, subject.handlers, { fastPath: false, databaseOf: fast });
    fast.server.on('request', (req, res) => {
      res.once('close', () => {
        seen['openapi' in req ? 'validated' : 'fast'] += 1;
      });
    });
    for (let index = 0; index < twinsMax; index++)
      twins.push([await createResource(`twina.${index}`), await createResource(`twinb.${index}`)]);
  });
  afterAll(async () => {
    await express.stop();
    await fast.stop();
  });

  async function createResource(emailName: string): Promise<string> {
    const body = { ...subject.body, ...(subject.body.email && { email: `${emailName}@example.com` }) };
    const response = await send(fast.url + prefix + subject.create, 'POST', json, JSON.stringify(body));
    return response.body.id as string;
  }

  async function responseOf(service: TestService, template: RequestTemplate) {
    const letter = service === fast ? 0 : 1;
    const id = twins[template.twin]?.[letter] ?? unknownId;
    const own = (text: string) => text.replace(/twin/gi, letter === 0 ? 'twina' : 'twinb');
    const headers = Object.fromEntries(Object.entries(template.headers).map(([key, value]) => [key, own(value)]));
    const url = service.url + own(template.path.replace(/\{\w+\}/, id)) + template.query;
    const body = typeof template.body === 'string' ? own(template.body) : template.body;
    const response = await send(url, template.method, headers, body);
    delete response.headers.date;
    return JSON.parse(
      normalize({ status: response.status, headers: response.headers, text: response.text }),
    ) as typeof response;
  }

  describe('fast path', () => {
    it(
      `responds to ${numRuns} valid and invalid requests as Express does`,
      async () => {
        await fc.assert(
          fc.asyncProperty(requests(contract.document, contract.operations, subject), async (template) => {
            const [one, other] = [await responseOf(fast, template), await responseOf(express, template)];
            seen.statuses.add(one.status);
            expect(one).toEqual(other);
          }),
          { numRuns, examples: edgeCases(subject).map((template) => [template]) },
        );
        // Both paths and every kind of response must occur, or the comparison proves nothing.
        expect(seen.fast).toBeGreaterThan(numRuns / 5);
        expect(seen.validated).toBeGreaterThan(numRuns / 5);
        expect([...seen.statuses]).toEqual(expect.arrayContaining([200, 201, 204, 400, 404, 406, 415]));
      },
      60_000 + numRuns * 100,
    );

    it('passes a request to Express when it is not valid at first sight', async () => {
      const before = seen.validated;
      await send(`${fast.url}${prefix}${list}?limit=0x10`, 'GET');
      await send(`${fast.url}${prefix}${subject.create}`, 'POST', json, '{}');
      // The check for integers rejects the first before the validator.
      expect(seen.validated).toBe(before + 1);
    });
  });
}

/** Replaces what differs between twins and over time. */
function normalize(response: object): string {
  return JSON.stringify(response)
    .replace(/twin[ab]/gi, 'twin')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'TIME');
}

/** Edge cases that a check less strict than the validator would accept. Each run sends them. */
function edgeCases({ prefix, create, list, body, text }: Subject): RequestTemplate[] {
  const read = (query: string): RequestTemplate => {
    return { method: 'GET', twin: 0, path: prefix + list, query, headers: {}, body: undefined };
  };
  const write = (value: string, before = ''): RequestTemplate => {
    const own = { ...body, ...(body.email && { email: 'twin.sharp@example.com' }), [text]: 'VALUE' };
    const bodyText = before + JSON.stringify(own).replace('VALUE', value);
    return { method: 'POST', twin: 0, path: prefix + create, query: '', headers: json, body: bodyText };
  };
  return [
    ...['0x10', '1e1', '1.0', '%31', '+1', '1&limit=1'].map((limit) => read(`?limit=${limit}`)),
    ...['?q=a%00b', '?q=', '?q=a+b', '?limit[]=1'].map(read),
    ...['a\\u0000b', '\\ud83e', '\\ud83e\\udd5b', '\\u00fc', 'a","__proto__":{},"x":"'].map((value) => write(value)),
    ...['a: b', `a","${text}":"b`].map((value) => write(value)),
    write('x', '\ufeff'),
  ];
}

function requests(document: Document, operations: Operation[], subject: Subject): fc.Arbitrary<RequestTemplate> {
  return fc.constantFrom(...operations).chain((operation) =>
    fc.record({
      method: fc.constant(operation.method),
      twin: fc.nat({ max: twinsMax }),
      path: mostly(
        fc.constant(subject.prefix + operation.path),
        fc.constantFrom(operation.path, ...invalidPaths(operation)),
      ),
      query: queryOf(document, operation),
      headers: headersOf(operation),
      body: operation.requestBody ? bodyOf(document, operation, subject) : fc.constant(undefined),
    }),
  );
}

/** Valid nine times in ten, so that a request with many parts can be valid as a validPayload. */
function mostly<Value>(valid: fc.Arbitrary<Value>, invalid: fc.Arbitrary<Value>): fc.Arbitrary<Value> {
  return fc.oneof({ arbitrary: valid, weight: 9 }, { arbitrary: invalid, weight: 1 });
}

function invalidPaths({ path }: Operation): string[] {
  return [`${path}/`, path.toUpperCase(), path.replace(/\{\w+\}/, 'x'), path.replace(/\{\w+\}/, '%7B'), `${path}%ff`];
}

const texts = [
  'milk',
  'two words',
  'ü🥛',
  '',
  'x'.repeat(201),
  '🥛'.repeat(200),
  '2026-12-12',
  '2026-02-30',
  unknownId,
  '%',
  '+',
];
const scalars = [0, 1, 50, 101, -1, 1.5, 2 ** 53, '0x10', '1e1', true, null, 'latest'];

function queryOf(document: Document, { parameters }: Operation): fc.Arbitrary<string> {
  const own = parameters.filter(({ in: place, name }) => place === 'query' && name !== 'wait');
  const pair = fc.oneof(
    ...own.map((parameter) =>
      mostly(fc.constantFrom(...valuesOf(document, parameter)), fc.constantFrom(...texts, ...scalars)).map((value) =>
        [parameter.name, encodeURIComponent(String(value))].join('='),
      ),
    ),
    fc.constantFrom('unknown=1', 'limit', 'limit=%ff', 'q=a+b', 'q=a%00b', 'limit[]=1', 'limit=1&limit=2'),
  );
  const given = fc.array(pair, { maxLength: 3 }).map((pairs) => (pairs.length > 0 ? `?${pairs.join('&')}` : ''));
  return own.length > 0 ? given : mostly(fc.constant(''), given);
}

function headersOf({ parameters, requestBody }: Operation): fc.Arbitrary<Record<string, string>> {
  const maybe = (...values: string[]) => fc.option(fc.constantFrom(...values), { nil: undefined, freq: 3 });
  const own = parameters.filter((each) => each.in === 'header');
  const values: Record<string, string[]> = {
    'If-Match': ['"1"', '"2"', '*', 'W/"1"', '"1", "2"', '1', ''],
    'If-None-Match': ['"1"', 'W/"1"', '*', '"x"', ''],
    'Idempotency-Key': ['twin-1', 'twin-2', 'twin-3', '', 'ü', 'x'.repeat(256)],
    'Last-Event-ID': ['0-0', '1-1', 'x'],
  };
  const record: Record<string, fc.Arbitrary<string | undefined>> = {
    Accept: maybe(
      '*/*',
      'application/json',
      'application/json; charset=utf-8',
      'application/json;a=b;q=0',
      'text/html, application/json;q=0.5',
      'text/html',
    ),
    Origin: mostly(fc.constant(undefined), fc.constantFrom('https://board.example', 'https://other.example')),
    'X-Request-Id': maybe('mine.1', 'a b'),
    'Content-Type': requestBody
      ? mostly(
          fc.constant('application/json'),
          fc.constantFrom(
            'application/json; charset=utf-8',
            'application/json;charset=utf8',
            'text/plain',
            'application/json;charset=utf-16',
            undefined,
          ),
        )
      : mostly(fc.constant(undefined), fc.constant('application/json')),
    'Content-Encoding': mostly(fc.constant(undefined), fc.constantFrom('identity', 'gzip')),
  };
  for (const { name } of own) record[name] = maybe(...(values[name] ?? ['x']));
  return fc
    .record(record)
    .map((all) =>
      Object.fromEntries(
        Object.entries(all).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, Buffer.from(value).toString('latin1')]],
        ),
      ),
    );
}

function bodyOf(document: Document, operation: Operation, { body, batch }: Subject): fc.Arbitrary<string | Buffer> {
  const schema = resolve<Schema>(document, operation.requestBody?.content['application/json']?.schema ?? {});
  const item = batch === operation.path ? resolve(document, schema.properties?.items?.items ?? {}) : schema;
  const fields = Object.entries(item.properties ?? {}).map(([name, each]): [string, fc.Arbitrary<unknown>] => [
    name,
    mostly(
      fc.constantFrom(...valuesOf(document, { name, schema: each })),
      fc.constantFrom(...texts, ...scalars, [], ['a', 'a'], {}),
    ),
  ]);
  // An email address must be unique.
  const own = { ...body, ...(body.email && { email: 'twin@example.com' }) };
  const full = fc.record<Record<string, unknown>>(Object.fromEntries(fields), { requiredKeys: [] });
  const validBody = full.map((some) => (operation.method === 'POST' ? { ...own, ...some } : some));
  const validPayload = validBody.map((some) => (item === schema ? some : { items: [some, { ...own, ...some }] }));
  const unknown = validPayload.map((some) => ({ ...some, unknown: 1 }));
  const text = mostly(validPayload, unknown).map((some) => JSON.stringify(some));
  const broken = fc.constantFrom<string | Buffer>(
    '',
    '{',
    'null',
    '[]',
    '"x"',
    '{"__proto__":{}}',
    Buffer.from([0x22, 0xff, 0x22]),
  );
  return mostly<string | Buffer>(text, broken);
}

interface Schema {
  type?: string | string[];
  enum?: unknown[];
  default?: unknown;
  examples?: unknown[];
  properties?: Record<string, Schema>;
  items?: Schema;
}

/** Plausible values of a parameter or a field. */
function valuesOf(document: Document, { name, schema }: { name: string; schema: object }): unknown[] {
  const { enum: values = [], examples = [], type = [], default: usual } = resolve<Schema>(document, schema);
  const own = [...values, ...examples, ...(usual === undefined ? [] : [usual])];
  if (name === 'email') return ['twin@example.com', 'Twin.2@example.com'];
  if (name.endsWith('Id')) return [null, unknownId, unknownId.toUpperCase()];
  if (type.includes('integer')) return [1, 2, 50, ...own];
  return own.length > 0 ? own : ['milk', '2026-12-12', 'ü🥛'];
}
