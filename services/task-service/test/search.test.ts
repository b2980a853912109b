/** The search gives the same results whatever the locale of the database. A failure prints the seed and path. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from '../../../generated/task-service.d.ts';
import type { Statement } from '@task-manager/runtime/postgres/database';
import { indexQueued } from '@task-manager/runtime/postgres/search';
import { captureLog, serve, type TestService } from '@task-manager/testing/harness';
import { until } from '@task-manager/testing/until';
import { taskHandlers } from '../src/handlers.ts';
import { createUserClient, UserDirectory } from '../src/user-client.ts';

type NewTask = components['schemas']['NewTask'];

const databases = {
  'C.UTF-8 of PostgreSQL': '',
  C: `template template0 locale_provider libc locale 'C'`,
  'en_US.utf8': `template template0 locale_provider libc locale 'en_US.utf8'`,
  'ICU en-US': `template template0 locale_provider icu icu_locale 'en-US' locale 'C'`,
  'ICU tr-TR': `template template0 locale_provider icu icu_locale 'tr-TR' locale 'C'`,
};
// PostgreSQL has them from version 15 on.
const hasProviders = Number(process.env.TEST_POSTGRES_VERSION ?? 15) >= 15;
const systemLocales = execFileSync('locale', ['-a'], { encoding: 'utf8' }).split('\n');

/** Titles, searches that find them, and searches that do not. */
const examples: [title: string, found: string[], notFound: string[]][] = [
  ['milk—bread', ['bread', 'milk', 'milk—bread', 'MILK BREAD', '"milk bread"'], ['read', '"bread milk"', '-bread']],
  ['🚀launch', ['launch', '🚀launch', '🚀'], []],
  ['€500', ['500', '€500'], ['5000']],
  ['Visit l’école', ['école', "l'école", 'ÉCOLE', 'e\u0301cole'], ['cole']],
  ['Cafe\u0301 re\u0301union', ['café', 'réunion'], []],
  ['Fix PROJ-123', ['123', 'proj', 'PROJ-123', 'proj-12'], ['123-proj', '"proj-12"']],
  ['Read https://example.com/a-b?c=d#e', ['https://example.com/a-b?c=d#e', 'example.com', 'example'], ['com.example']],
  ['snake_case', ['case', 'snake_case'], []],
  ['Straße', ['strasse', 'STRASSE', 'STRAẞE', 'straß'], []],
  ['ΟΔΟΣ', ['οδος', 'οδοσ', 'ΟΔΟΣ'], []],
  ['İstanbul ışık', ['istanbul', 'ISTANBUL', 'IŞIK', 'ışık'], []],
  ['ﬁle №5 Ａｂｃ', ['file', '5', 'abc', '№5'], []],
  ['Devanagari हिन्दी', ['हिन्दी'], []],
  ['牛乳を買う', ['牛乳', '買う', '乳を', '牛', 'う', '牛乳を買う'], ['牛を', '買牛']],
  ['明日は東京タワーへ2024年度', ['東京', 'タワー', 'ﾀﾜｰ', '2024', '年度', '2024年度', 'へ2024'], ['京東', '2024度']],
  ['ซื้อนมที่ร้าน', ['นม', 'ร้าน', 'ซื้อนม', 'ที่ร้าน'], ['มน']],
  [
    'Quarterly reviews',
    ['quarter', 'quarterly rev', 'q', '"quarterly"', 'absent or rev'],
    ['"review"', 'quarter reviews', 'quarterly -reviews'],
  ],
  ['Ending in or', ['or', 'ending or', 'or ending'], []],
];

describe.each(Object.entries(databases))('a database with the locale %s', (name, locale) => {
  const isMissing = name.includes('utf8') && !systemLocales.includes(name);
  const test = isMissing || (locale && !hasProviders) ? it.skip : it;
  let service: TestService | undefined;
  let api: Client<paths>;
  beforeAll(async () => {
    if (test === it.skip) return;
    const users = new UserDirectory(createUserClient('http://localhost:1'));
    service = await serve('task-service', (health) => taskHandlers(health, users), { locale });
    api = createClient<paths>({ baseUrl: service.url });
  });
  afterAll(() => service?.stop());

  async function create(task: NewTask): Promise<string> {
    const { data, error } = await api.POST('/tasks', { body: task });
    if (!data) throw new Error(JSON.stringify(error));
    return data.id;
  }

  async function find(q: string): Promise<string[]> {
    const { data, error } = await api.GET('/tasks', { params: { query: { q, limit: 100 } } });
    if (!data) throw new Error(JSON.stringify(error));
    return data.items.map(({ id }) => id);
  }

  test.each(examples)('finds %s by its words', async (title, found, notFound) => {
    for (const field of ['title', 'description'] as const) {
      const id = await create({ title: '—', [field]: title });
      for (const q of found) expect({ q, ids: await find(q) }).toEqual({ q, ids: expect.arrayContaining([id]) });
      for (const q of notFound) expect({ q, ids: await find(q) }).not.toEqual({ q, ids: expect.arrayContaining([id]) });
    }
  });

  test('finds a title by each run of its letters and digits, in every normalization and case', async () => {
    await fc.assert(
      fc.asyncProperty(title, async (title) => {
        const id = await create({ title });
        for (const run of runsOf(title)) {
          const spellings = [run, run.normalize('NFC'), run.normalize('NFD'), run.toUpperCase(), run.toLowerCase()];
          for (const q of new Set(spellings.filter((q) => Array.from(q).length <= 200))) {
            expect({ q, ids: await find(q) }).toEqual({ q, ids: expect.arrayContaining([id]) });
          }
        }
      }),
      { numRuns: 100 },
    );
  }, 60_000);

  test('finds a title by each substring of two characters or more, in scripts without spaces', async () => {
    const text = fc.string({
      unit: fc.constantFrom(...Array.from('東京都の会議をカタカナー準備ซื้อนมที่')),
      minLength: 2,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.string({ maxLength: 5 }), text, fc.nat(), fc.nat()),
        async ([before, text, a, b]) => {
          const id = await create({ title: before + text });
          const characters = Array.from(text);
          const start = a % (characters.length - 1);
          const q = characters.slice(start, start + 2 + (b % characters.length)).join('');
          expect({ q, ids: await find(q) }).toEqual({ q, ids: expect.arrayContaining([id]) });
        },
      ),
      { numRuns: 50 },
    );
  }, 60_000);
});

describe('the search of changed tasks', () => {
  let service: TestService;
  let api: Client<paths, 'application/json'>;
  beforeAll(async () => {
    const users = new UserDirectory(createUserClient('http://localhost:1'));
    service = await serve('task-service', (health) => taskHandlers(health, users));
    api = createClient<paths, 'application/json'>({ baseUrl: service.url });
  });
  afterAll(() => service.stop());

  async function find(q: string): Promise<string[]> {
    const { data } = await api.GET('/tasks', { params: { query: { q } } });
    return data?.items.map(({ title }) => title) ?? [];
  }

  /** Inserts and updates a task as replicas of version 0.1.0 and SQL do, without words. */
  async function insert(title: string, description = ''): Promise<string> {
    const { rows } = await service.db.pool.query<{ id: string }>(
      `insert into task_service.tasks (id, title, description, created_at)
       values (gen_random_uuid(), $1, $2, now()) returning id`,
      [title, description],
    );
    return rows[0]?.id ?? '';
  }

  async function update(id: string, title: string): Promise<void> {
    await service.db.pool.query('update task_service.tasks set title = $2, description = description where id = $1', [
      id,
      title,
    ]);
  }

  /** Runs as in two replicas until the queue is empty. */
  async function indexAll(): Promise<void> {
    const stop = new AbortController();
    const { logger, lines } = captureLog();
    const texts = ['title', 'description'];
    const replicas = [1, 2].map(() => indexQueued(service.db, 'tasks', texts, logger, stop.signal));
    await until(async () => {
      const { rows } = await service.db.pool.query('select from task_service.search_queue limit 1');
      return rows.length === 0;
    });
    stop.abort();
    await Promise.all(replicas);
    expect(lines).toEqual([]);
  }

  it('finds the words of both texts after an update of one, of both and of neither', async () => {
    const { data } = await api.POST('/tasks', { body: { title: 'Walnut—oak', description: 'Maple—ash' } });
    const path = { taskId: data?.id ?? '' };
    for (const [body, words] of [
      [{ title: 'Birch—oak' }, ['birch', 'oak', '"birch oak"', 'maple', 'ash', '"maple ash"']],
      [{ description: 'Beech—ash' }, ['birch', 'oak', '"birch oak"', 'beech', 'ash', '"beech ash"']],
      [{ status: 'done' }, ['birch', 'oak', '"birch oak"', 'beech', 'ash', '"beech ash"']],
      [{ title: 'Elm', description: '' }, ['elm']],
    ] as const) {
      await api.PATCH('/tasks/{taskId}', { params: { path }, body });
      const found: string[] = [];
      for (const q of [
        'walnut',
        'birch',
        'oak',
        '"birch oak"',
        'maple',
        'beech',
        'ash',
        '"maple ash"',
        '"beech ash"',
        'elm',
      ]) {
        if ((await find(q)).length > 0) found.push(q);
      }
      expect([body, found.sort()]).toEqual([body, [...words].sort()]);
    }
    const { rows } = await service.db.pool.query('select from task_service.search_queue');
    expect(rows).toEqual([]);
  });

  it('finds a task that another writer inserts, at once by the words of PostgreSQL and later by all', async () => {
    await insert('Feed the cat', 'at l’école');
    expect(await find('cat')).toEqual(['Feed the cat']);
    await indexAll();
    expect(await find('cat')).toEqual(['Feed the cat']);
    expect(await find('école')).toEqual(['Feed the cat']);
  });

  it('finds a task that another writer updates, at once by the new words and later only by these', async () => {
    const id = await insert('Feed the dog');
    await indexAll();
    await update(id, 'Walk 東京');
    expect(await find('walk')).toEqual(['Walk 東京']);
    await indexAll();
    expect(await find('walk')).toEqual(['Walk 東京']);
    expect(await find('東')).toEqual(['Walk 東京']);
    expect(await find('dog')).toEqual([]);
  });

  it('keeps the words of an update that arrives while the task is indexed', async () => {
    const taskId = await insert('Feed the bird');
    let patched: Promise<unknown> | undefined;
    const begin = service.db.transaction.bind(service.db);
    service.db.transaction = (run) =>
      begin((transaction) =>
        run({
          ...transaction,
          query: async <Row extends object>(statement: Statement) => {
            const rows = await transaction.query<Row>(statement);
            if (statement.name === 'take-queued' && rows.length > 0) {
              let isPatched = false;
              patched = api.PATCH('/tasks/{taskId}', { params: { path: { taskId } }, body: { title: 'Feed the cow' } });
              void patched.then(() => (isPatched = true));
              await until(async () => isPatched || (await isBlocked()));
            }
            return rows;
          },
        }),
      );
    await indexAll();
    service.db.transaction = begin;
    await patched;
    expect([await find('cow'), await find('bird')]).toEqual([['Feed the cow'], []]);
  });

  /** Whether a statement waits for a lock. */
  async function isBlocked(): Promise<boolean> {
    const { rows } = await service.db.pool.query('select from pg_locks where not granted');
    return rows.length > 0;
  }

  it('indexes every task once, in two replicas, while other writers update and delete them', async () => {
    const { rows: queued } = await service.db.pool.query<{ id: string }>(
      `insert into task_service.tasks (id, title, description, created_at)
       select gen_random_uuid(), 'Queued ' || n, 'fish', now() from generate_series(0, 999) as n returning id`,
    );
    const ids = queued.map(({ id }) => id);
    const indexing = indexAll();
    for (let index = 0; index < 1000; index += 10) await update(ids[index] ?? '', `Requeued ${index}`);
    await service.db.pool.query('delete from task_service.tasks where id = any ($1)', [ids.slice(0, 5)]);
    await indexing;
    await indexAll();
    const { rows } = await service.db.pool.query<{ search: string }>(
      `select search::text from task_service.tasks where description = 'fish'`,
    );
    const numbers = rows.map(({ search }) => /^'(\d+)':2A 'fish':2049B '(?:re)?queued':1A$/.exec(search)?.[1]);
    expect(numbers.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 995 }, (_, index) => index + 5));
  });
});

const separators = fc.constantFrom(
  ' ',
  '—',
  '’',
  '🚀',
  '€',
  '-',
  '_',
  '/',
  '=',
  '\u00a0',
  '™',
  '№',
  '℃',
  '"',
  '\u200d',
);
const words = fc.constantFrom(
  'milk',
  'École',
  'e\u0301cole',
  '123',
  'Straße',
  'ΟΔΟΣ',
  'İ',
  '東京',
  'นม',
  'हिन्दी',
  '½',
  'ŉ',
  'ǰ',
  '한국',
);
const characters = fc.oneof(
  separators,
  words,
  fc.string({ unit: 'binary', maxLength: 3 }),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
);
const title = fc
  .array(characters, { minLength: 1, maxLength: 12 })
  .map((parts) => parts.join('').replaceAll('\0', ''))
  .filter((text) => /[\p{L}\p{N}]/u.test(text) && Array.from(text).length <= 200);

/** The runs of letters and digits, which include the marks on them. */
function runsOf(text: string): string[] {
  return (text.match(/[\p{L}\p{N}\p{M}]+/gu) ?? []).filter((run) => /[\p{L}\p{N}]/u.test(run));
}
