/** Sends each example of the contracts and compares the response with the example response. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { bundleContract, services } from '@task-manager/dev/repository';
import { startMock, startSandbox, startSystem, type System } from '@task-manager/testing/system';

/** An example request and the example response with the same name. */
interface Example {
  name: string;
  /** Its key in the contract's `examples`. */
  key?: string;
  method: string;
  path: string;
  type?: string;
  body?: unknown;
  status: number;
  response?: unknown;
  /** The path with one query parameter each, set to its example. */
  queries?: string[];
}

const examples = (await Promise.all(services.map(examplesOf))).flat();

describe('the examples in the sandbox', () => {
  const system = running(startSandbox);
  beforeEach(async () => {
    const { status } = await fetch(`${system.url}/sandbox/reset`, { method: 'POST' });
    expect(status).toBe(204);
  });

  it.each(examples)('returns the example response: $name', async (example) => {
    await expectResponse(system.url, example);
  });

  it.each(examples.flatMap(({ queries = [] }) => queries))('returns 200 for GET %s', async (path) => {
    expect((await fetch(system.url + path)).status).toBe(200);
  });

  it('keeps created tasks until it is reset', async () => {
    const before = await json(system.url, '/tasks');
    await json(system.url, '/tasks', { title: 'Kept' });
    expect(await json(system.url, '/tasks')).toMatchObject({ items: [{ title: 'Kept' }, {}, {}, {}] });
    await fetch(`${system.url}/sandbox/reset`, { method: 'POST' });
    expect(await json(system.url, '/tasks')).toEqual(before);
  });
});

describe('the examples in the system of npm start', () => {
  const system = running(startSystem);
  let ids: Record<string, string>;
  beforeEach(async () => {
    ids = await createListedItems(system.url);
  });

  it.each(examples)('returns the example response: $name', async (example) => {
    await expectResponse(system.url, withIds(example, ids));
  });
});

describe('the examples with a 2xx response in the mock', () => {
  const system = running(startMock);

  it.each(examples.filter(({ status }) => status < 300))(
    'returns a response of the same shape: $name',
    async (example) => {
      // Prism selects one of several examples by this header.
      const headers = example.key ? { Prefer: `example=${example.key}` } : {};
      const { response, body } = await send(system.url, example, headers);
      expect({ status: response.status, shape: shapeOf(body) }).toEqual({
        status: example.status,
        shape: shapeOf(example.response),
      });
    },
  );
});

function running(start: () => Promise<System>): System {
  const system = { port: 0, url: '', stop: () => Promise.resolve() };
  beforeAll(async () => Object.assign(system, await start()));
  afterAll(() => system.stop());
  return system;
}

async function expectResponse(url: string, example: Example): Promise<void> {
  const { response, body } = await send(url, example);
  expect({ status: response.status, body: masked(body) }).toEqual({
    status: example.status,
    body: masked(example.response),
  });
  // masked() hides ids, so compare the requested one here.
  const [id] = /[0-9a-f-]{36}$/.exec(example.path) ?? [];
  if (id && response.ok && response.status !== 204) expect(body).toMatchObject({ id });
}

async function send(url: string, { method, path, type, body }: Omit<Example, 'name' | 'status'>, headers = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { ...headers, ...(type && { 'Content-Type': type }) },
    ...(type && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { response, body: text ? (JSON.parse(text) as unknown) : undefined };
}

async function json(url: string, path: string, body?: object): Promise<unknown> {
  const request = body ? { method: 'POST', path, type: 'application/json', body } : { method: 'GET', path };
  return (await send(url, request)).body;
}

/** Replaces generated values by placeholders and the wording of a problem by its type. */
function masked(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null), (name, each: unknown) => {
    if (name === 'nextCursor') return '<cursor>';
    if (typeof each !== 'string') return each;
    if (['detail', 'instance'].includes(name)) return typeof each;
    return each
      .replace(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/, '<id>')
      .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, '<time>')
      .replace(/^\d+-\d+$/, '<feed cursor>');
  });
}

function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shapeOf(each)]));
}

/** Replaces all items with those in the list examples; returns the new id of each example id. */
async function createListedItems(url: string): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const [list, create] of [
    ['/user/users', '/user/register'],
    ['/tasks', '/tasks'],
  ] as const) {
    const { items } = (await json(url, list)) as { items: { id: string }[] };
    for (const { id } of items) await fetch(`${url}${list}/${id}`, { method: 'DELETE' });
    const example = examples.find(({ method, path }) => method === 'GET' && path.startsWith(`${list}?limit`));
    for (const item of (example?.response as { items: Item[] }).items.toReversed()) {
      const { id, version } = item;
      const fields = Object.fromEntries(
        Object.entries(withIds(item, ids)).filter(([name]) => !generatedFields.has(name)),
      );
      const created = (await json(url, create, fields)) as Item;
      ids[id] = created.id;
      for (let number = 1; number < version; number++) {
        const options = { method: 'PATCH', headers: { 'Content-Type': 'application/json' } };
        await fetch(`${url}${list}/${created.id}`, { ...options, body: JSON.stringify(fields) });
      }
    }
  }
  return ids;
}

const generatedFields = new Set(['id', 'createdAt', 'updatedAt', 'completedAt', 'version']);

interface Item {
  id: string;
  version: number;
}

function withIds<Value>(value: Value, ids: Record<string, string>): Value {
  const text = JSON.stringify(value);
  return JSON.parse(text.replace(/[0-9a-f-]{36}/g, (id) => ids[id] ?? id)) as Value;
}

/** The parts of a dereferenced contract that hold examples. */
interface Contract {
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
}
interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; example?: string | number }[];
  requestBody?: { content: Content };
  responses: Record<string, { content?: Content }>;
}
type Content = Record<
  string,
  { schema: { example?: unknown }; example?: unknown; examples?: Record<string, { value: unknown }> }
>;

async function examplesOf(service: string): Promise<Example[]> {
  const ref = fileURLToPath(new URL(`../../api/${service}.yaml`, import.meta.url));
  const { servers, paths } = (await bundleContract(ref, true)) as unknown as Contract;
  const prefix = servers[0]?.url.replace(/\/$/, '') ?? '';
  return Object.entries(paths).flatMap(([path, { parameters, ...operations }]) =>
    Object.entries(operations).flatMap(([method, operation]) => {
      const allParameters = [...((parameters as Operation['parameters']) ?? []), ...(operation.parameters ?? [])];
      const exampleOf = (name: string) => String(allParameters.find((each) => each.name === name)?.example ?? '');
      const pathOf = (id?: string) => prefix + path.replace(/\{(\w+)\}/, (_, name: string) => id ?? exampleOf(name));
      const requests = operation.requestBody ? withBody(operation, pathOf) : [withoutBody(operation, pathOf)];
      // A cursor has no `example`: only a response can provide one.
      const optional = allParameters.filter((each) => each.in === 'query' && each.example !== undefined);
      const queries = optional.map(({ name, example }) => `${pathOf()}?${name}=${encodeURIComponent(String(example))}`);
      return requests.map((each) => ({ method: method.toUpperCase(), ...each, queries }));
    }),
  );
}

type PathOf = (id?: string) => string;

/** Pairs each request example with the response example of the same name. */
function withBody({ operationId, requestBody, responses }: Operation, pathOf: PathOf): Omit<Example, 'method'>[] {
  return Object.entries(requestBody?.content ?? {}).flatMap(([type, { examples = {} }]) =>
    Object.entries(examples).map(([key, { value: body }]) => {
      const [expected] = Object.entries(responses).flatMap(([status, { content = {} }]) =>
        Object.values(content).flatMap((media) =>
          media.examples?.[key] ? [{ status: Number(status), response: media.examples[key].value }] : [],
        ),
      );
      if (!expected) throw new Error(`${operationId} has no response example named ${key}: add one`);
      const { id } = expected.response as { id?: string };
      return { name: `${operationId} ${key}, as ${type}`, key, path: pathOf(id), type, body, ...expected };
    }),
  );
}

function withoutBody({ operationId, responses }: Operation, pathOf: PathOf): Omit<Example, 'method'> {
  const [[status, { content }] = ['0', {}]] = Object.entries(responses);
  const json = content?.['application/json'];
  const example = json?.example ?? json?.schema.example;
  const length = (example as { items?: unknown[] } | undefined)?.items?.length;
  return {
    name: operationId,
    path: pathOf() + (length ? `?limit=${length}` : ''),
    status: Number(status),
    response: example,
  };
}
