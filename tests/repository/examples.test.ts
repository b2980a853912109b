/** The examples of the contracts, sent as they stand there: what answers is what they promise. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { bundleContract, services } from '@task-manager/dev/repository';
import { startMock, startSandbox, startSystem, type System } from '@task-manager/testing/system';

/** A request that a contract shows, and the answer that it promises. */
interface Example {
  name: string;
  /** Its name in the contract, where it has one. */
  shown?: string;
  method: string;
  path: string;
  type?: string;
  body?: unknown;
  status: number;
  answer?: unknown;
  /** The path with each parameter that it may have, as the contract shows it. */
  queries?: string[];
}

const examples = (await Promise.all(services.map(examplesOf))).flat();

describe('the examples, sent to the sandbox', () => {
  const place = running(startSandbox);
  beforeEach(async () => {
    const { status } = await fetch(`${place.url}/sandbox/reset`, { method: 'POST' });
    expect(status).toBe(204);
  });

  it.each(examples)('$name', async (example) => {
    await expectAnswer(place.url, example);
  });

  it.each(examples.flatMap(({ queries = [] }) => queries))('is answered: GET %s', async (path) => {
    expect((await fetch(place.url + path)).status).toBe(200);
  });

  it('keeps what was created until it is reset', async () => {
    const before = await json(place.url, '/tasks');
    await json(place.url, '/tasks', { title: 'Kept' });
    expect(await json(place.url, '/tasks')).toMatchObject({ items: [{ title: 'Kept' }, {}, {}, {}] });
    await fetch(`${place.url}/sandbox/reset`, { method: 'POST' });
    expect(await json(place.url, '/tasks')).toEqual(before);
  });
});

describe('the examples, sent to the services as npm start runs them', () => {
  const place = running(startSystem);
  let ids: Record<string, string>;
  beforeEach(async () => {
    ids = await makeWhatIsShown(place.url);
  });

  it.each(examples)('$name', async (example) => {
    await expectAnswer(place.url, withIds(example, ids));
  });
});

describe('the examples that end well, sent to the mock', () => {
  const place = running(startMock);

  it.each(examples.filter(({ status }) => status < 300))('$name', async (example) => {
    // Of several examples Prism answers with the one that is asked for.
    const headers = example.shown ? { Prefer: `example=${example.shown}` } : {};
    const { response, body } = await send(place.url, example, headers);
    expect({ status: response.status, shape: shapeOf(body) }).toEqual({
      status: example.status,
      shape: shapeOf(example.answer),
    });
  });
});

function running(start: () => Promise<System>): System {
  const place = { port: 0, url: '', stop: () => Promise.resolve() };
  beforeAll(async () => Object.assign(place, await start()));
  afterAll(() => place.stop());
  return place;
}

async function expectAnswer(url: string, example: Example): Promise<void> {
  const { response, body } = await send(url, example);
  expect({ status: response.status, body: masked(body) }).toEqual({
    status: example.status,
    body: masked(example.answer),
  });
  // What was asked for by its id is what is answered.
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
  const sent = body ? { method: 'POST', path, type: 'application/json', body } : { method: 'GET', path };
  return (await send(url, sent)).body;
}

/** What a service makes anew each time is known by its form; of a problem what it says this time may be said otherwise. */
function masked(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null), (name, each: unknown) => {
    if (name === 'nextCursor') return 'a cursor';
    if (typeof each !== 'string') return each;
    if (['detail', 'instance'].includes(name)) return typeof each;
    return each
      .replace(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'an id')
      .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'a time')
      .replace(/^\d+-\d+$/, 'a place in the feed');
  });
}

function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shapeOf(each)]));
}

/** Leaves in the services what the examples of lists show and nothing else; answers with the ids that it has there. */
async function makeWhatIsShown(url: string): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const [list, create] of [
    ['/user/users', '/user/register'],
    ['/tasks', '/tasks'],
  ] as const) {
    const { items } = (await json(url, list)) as { items: { id: string }[] };
    for (const { id } of items) await fetch(`${url}${list}/${id}`, { method: 'DELETE' });
    const shown = examples.find(({ method, path }) => method === 'GET' && path.startsWith(`${list}?limit`));
    for (const item of (shown?.answer as { items: Item[] }).items.toReversed()) {
      const { id, version } = item;
      const fields = Object.fromEntries(
        Object.entries(withIds(item, ids)).filter(([name]) => !madeByService.has(name)),
      );
      const made = (await json(url, create, fields)) as Item;
      ids[id] = made.id;
      for (let number = 1; number < version; number++) {
        const options = { method: 'PATCH', headers: { 'Content-Type': 'application/json' } };
        await fetch(`${url}${list}/${made.id}`, { ...options, body: JSON.stringify(fields) });
      }
    }
  }
  return ids;
}

const madeByService = new Set(['id', 'createdAt', 'updatedAt', 'completedAt', 'version']);

interface Item {
  id: string;
  version: number;
}

function withIds<Value>(value: Value, ids: Record<string, string>): Value {
  const text = JSON.stringify(value);
  return JSON.parse(text.replace(/[0-9a-f-]{36}/g, (id) => ids[id] ?? id)) as Value;
}

/** The parts of a contract that hold examples, with all that they refer to in its place. */
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
      const given = [...((parameters as Operation['parameters']) ?? []), ...(operation.parameters ?? [])];
      const exampleOf = (name: string) => String(given.find((each) => each.name === name)?.example ?? '');
      const pathOf = (id?: string) => prefix + path.replace(/\{(\w+)\}/, (_, name: string) => id ?? exampleOf(name));
      const shown = operation.requestBody ? withBody(operation, pathOf) : [withoutBody(operation, pathOf)];
      // The cursor of a list is what only the list can give, so it has no `example`.
      const asked = given.filter((each) => each.in === 'query' && each.example !== undefined);
      const queries = asked.map(({ name, example }) => `${pathOf()}?${name}=${encodeURIComponent(String(example))}`);
      return shown.map((each) => ({ method: method.toUpperCase(), ...each, queries }));
    }),
  );
}

type PathOf = (id?: string) => string;

/** Each example of a body promises the answer that has an example of the same name. */
function withBody({ operationId, requestBody, responses }: Operation, pathOf: PathOf): Omit<Example, 'method'>[] {
  return Object.entries(requestBody?.content ?? {}).flatMap(([type, { examples = {} }]) =>
    Object.entries(examples).map(([shown, { value: body }]) => {
      const [answered] = Object.entries(responses).flatMap(([status, { content = {} }]) =>
        Object.values(content).flatMap((media) =>
          media.examples?.[shown] ? [{ status: Number(status), answer: media.examples[shown].value }] : [],
        ),
      );
      if (!answered) throw new Error(`${operationId} has no example of an answer called ${shown}`);
      const { id } = answered.answer as { id?: string };
      return { name: `${operationId} ${shown}, as ${type}`, shown, path: pathOf(id), type, body, ...answered };
    }),
  );
}

function withoutBody({ operationId, responses }: Operation, pathOf: PathOf): Omit<Example, 'method'> {
  const [[status, { content }] = ['0', {}]] = Object.entries(responses);
  const json = content?.['application/json'];
  const answer = json?.example ?? json?.schema.example;
  const length = (answer as { items?: unknown[] } | undefined)?.items?.length;
  return { name: operationId, path: pathOf() + (length ? `?limit=${length}` : ''), status: Number(status), answer };
}
