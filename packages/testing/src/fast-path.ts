/**
 * The fast lane answers as Express and its validator do: requests made at random from the contract, right and wrong in
 * every part, are sent to a service with the lane and to one without, on one database. A failure prints the seed and the
 * path by which fast-check finds it again. `REQUESTS=20000` sends more of them.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolve, readContract, type Document, type Operation } from '@task-manager/runtime/contract/document';
import fc from 'fast-check';
import { serve, type TestService } from './harness.ts';
import { unknownId, json, send, type Subject } from './subject.ts';

/** Some are deleted on the way. */
const twinsMax = 30;
const numRuns = Number(process.env.REQUESTS ?? 1500);

/** A request as it is made up: `twin` stands for the letter of the service that it is sent to, `{…}` for an id. */
interface Made {
  method: string;
  /** Which of the things that each service has one of, or none. */
  thing: number;
  path: string;
  query: string;
  headers: Record<string, string>;
  body: string | Buffer | undefined;
}

export function testFastPath(subject: Subject): void {
  const { name, prefix, list } = subject;
  const contract = readContract(new URL(`../../../generated/${name}.yaml`, import.meta.url));
  let fast: TestService;
  let plain: TestService;
  /** The ids of things that are alike but for their ids: one that the fast service is asked for, one for the plain one. */
  const twins: [string, string][] = [];
  const seen = { fast: 0, validated: 0, statuses: new Set<number>() };

  beforeAll(async () => {
    fast = await serve(name, subject.handlers);
    plain = await serve(name, subject.handlers, { fastPath: false, databaseOf: fast });
    fast.server.on('request', (req, res) => {
      res.once('close', () => {
        seen['openapi' in req ? 'validated' : 'fast'] += 1;
      });
    });
    for (let index = 0; index < twinsMax; index++)
      twins.push([await make(`twina.${index}`), await make(`twinb.${index}`)]);
  });
  afterAll(async () => {
    await plain.stop();
    await fast.stop();
  });

  async function make(who: string): Promise<string> {
    const body = { ...subject.body, ...(subject.body.email && { email: `${who}@example.com` }) };
    const answer = await send(fast.url + prefix + subject.create, 'POST', json, JSON.stringify(body));
    return answer.body.id as string;
  }

  async function answerOf(service: TestService, made: Made) {
    const letter = service === fast ? 0 : 1;
    const id = twins[made.thing]?.[letter] ?? unknownId;
    const own = (text: string) => text.replace(/twin/gi, letter === 0 ? 'twina' : 'twinb');
    const headers = Object.fromEntries(Object.entries(made.headers).map(([key, value]) => [key, own(value)]));
    const url = service.url + own(made.path.replace(/\{\w+\}/, id)) + made.query;
    const body = typeof made.body === 'string' ? own(made.body) : made.body;
    const answer = await send(url, made.method, headers, body);
    delete answer.headers.date;
    return JSON.parse(
      anonymous({ status: answer.status, headers: answer.headers, text: answer.text }),
    ) as typeof answer;
  }

  describe('the fast lane', () => {
    it(
      `answers each of ${numRuns} requests, right and wrong, as the validator lets it be answered`,
      async () => {
        await fc.assert(
          fc.asyncProperty(requests(contract.document, contract.operations, subject), async (made) => {
            const [one, other] = [await answerOf(fast, made), await answerOf(plain, made)];
            seen.statuses.add(one.status);
            expect(one).toEqual(other);
          }),
          { numRuns, examples: sharpest(subject).map((made) => [made]) },
        );
        // Else all would be alike, whatever the lane does.
        expect(seen.fast).toBeGreaterThan(numRuns / 5);
        expect(seen.validated).toBeGreaterThan(numRuns / 5);
        expect([...seen.statuses]).toEqual(expect.arrayContaining([200, 201, 204, 400, 404, 406, 415]));
      },
      60_000 + numRuns * 100,
    );

    it('leaves what it cannot read at a glance to the validator', async () => {
      const before = seen.validated;
      await send(`${fast.url}${prefix}${list}?limit=0x10`, 'GET');
      await send(`${fast.url}${prefix}${subject.create}`, 'POST', json, '{}');
      // The first is refused before it.
      expect(seen.validated).toBe(before + 1);
    });
  });
}

/** What differs between twins, and in time. */
function anonymous(answer: object): string {
  return JSON.stringify(answer)
    .replace(/twin[ab]/gi, 'twin')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'TIME');
}

/** What a check that is less strict than the validator, and what stands before it, would let pass; sent in each run. */
function sharpest({ prefix, create, list, body, text }: Subject): Made[] {
  const read = (query: string): Made => {
    return { method: 'GET', thing: 0, path: prefix + list, query, headers: {}, body: undefined };
  };
  const write = (value: string, before = ''): Made => {
    const own = { ...body, ...(body.email && { email: 'twin.sharp@example.com' }), [text]: 'VALUE' };
    const made = before + JSON.stringify(own).replace('VALUE', value);
    return { method: 'POST', thing: 0, path: prefix + create, query: '', headers: json, body: made };
  };
  return [
    ...['0x10', '1e1', '1.0', '%31', '+1', '1&limit=1'].map((limit) => read(`?limit=${limit}`)),
    ...['?q=a%00b', '?q=', '?q=a+b', '?limit[]=1'].map(read),
    ...['a\\u0000b', '\\ud83e', '\\ud83e\\udd5b', '\\u00fc', 'a","__proto__":{},"x":"'].map((value) => write(value)),
    write('x', '\ufeff'),
  ];
}

function requests(document: Document, operations: Operation[], subject: Subject): fc.Arbitrary<Made> {
  return fc.constantFrom(...operations).chain((operation) =>
    fc.record({
      method: fc.constant(operation.method),
      thing: fc.nat({ max: twinsMax }),
      path: mostly(
        fc.constant(subject.prefix + operation.path),
        fc.constantFrom(operation.path, ...strangePaths(operation)),
      ),
      query: queryOf(document, operation),
      headers: headersOf(operation),
      body: operation.requestBody ? bodyOf(document, operation, subject) : fc.constant(undefined),
    }),
  );
}

/** Nine times in ten the one, so that a request with many parts may be right in all of them. */
function mostly<Value>(right: fc.Arbitrary<Value>, wrong: fc.Arbitrary<Value>): fc.Arbitrary<Value> {
  return fc.oneof({ arbitrary: right, weight: 9 }, { arbitrary: wrong, weight: 1 });
}

function strangePaths({ path }: Operation): string[] {
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
    Accept: maybe('*/*', 'application/json', 'application/json;q=0', 'text/html, application/json;q=0.5', 'text/html'),
    Origin: mostly(fc.constant(undefined), fc.constantFrom('https://board.example', 'https://other.example')),
    'X-Request-Id': maybe('mine.1', 'a b'),
    'Content-Type': requestBody
      ? mostly(
          fc.constant('application/json'),
          fc.constantFrom(
            'application/json; charset=utf-8',
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
  // An e-mail address can be had once.
  const own = { ...body, ...(body.email && { email: 'twin@example.com' }) };
  const full = fc.record<Record<string, unknown>>(Object.fromEntries(fields), { requiredKeys: [] });
  const right = full.map((some) => (operation.method === 'POST' ? { ...own, ...some } : some));
  const whole = right.map((some) => (item === schema ? some : { items: [some, { ...own, ...some }] }));
  const unknown = whole.map((some) => ({ ...some, unknown: 1 }));
  const text = mostly(whole, unknown).map((some) => JSON.stringify(some));
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

/** What a parameter or a field may well be. */
function valuesOf(document: Document, { name, schema }: { name: string; schema: object }): unknown[] {
  const { enum: values = [], examples = [], type = [], default: usual } = resolve<Schema>(document, schema);
  const own = [...values, ...examples, ...(usual === undefined ? [] : [usual])];
  if (name === 'email') return ['twin@example.com', 'Twin.2@example.com'];
  if (name.endsWith('Id')) return [null, unknownId];
  if (type.includes('integer')) return [1, 2, 50, ...own];
  return own.length > 0 ? own : ['milk', '2026-12-12', 'ü🥛'];
}
