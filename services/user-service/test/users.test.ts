import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import createClient, { type Client } from 'openapi-fetch';
import type { paths } from '../../../generated/user-service.d.ts';
import { serve, type TestService } from '@task-manager/testing/harness';
import { userHandlers } from '../src/handlers.ts';
import { deleteUser, updateUser } from '../src/queries.ts';

let service: TestService;
let api: Client<paths, 'application/json'>;

beforeAll(async () => {
  service = await serve('user-service', userHandlers);
  api = createClient<paths, 'application/json'>({ baseUrl: `${service.url}/user` });
});
afterAll(() => service.stop());

let registered = 0;
/** Registers a user that the test can count on. */
async function registerUser(name: string) {
  registered += 1;
  const { data } = await api.POST('/register', { body: { name, email: `user${registered}@example.com` } });
  if (!data) throw new Error('no user was registered');
  return data;
}

describe('registerUser', () => {
  it('answers 201 with the user and where it is', async () => {
    const { data, response } = await api.POST('/register', { body: { name: 'Alice', email: 'alice@example.com' } });
    expect(response.status).toBe(201);
    expect(data).toEqual({
      id: expect.any(String),
      name: 'Alice',
      email: 'alice@example.com',
      createdAt: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updatedAt: data?.createdAt,
      version: 1,
    });
    expect(response.headers.get('Location')).toBe(`/user/users/${data?.id}`);
  });

  it('answers 409 when another user has the address, whatever the case of its letters', async () => {
    await api.POST('/register', { body: { name: 'Bob', email: 'Bob@Example.com' } });
    for (const email of ['Bob@Example.com', 'bob@example.com', 'BOB@EXAMPLE.COM']) {
      const { error } = await api.POST('/register', { body: { name: 'Another Bob', email } });
      const detail = `Another user has the email address ${email}.`;
      expect(error).toMatchObject({ type: '/user/problems/email-taken', status: 409, detail });
    }
  });

  it('lets one of twenty have an address that all want at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => {
        const email = index % 2 ? 'wanted@example.com' : 'WANTED@example.com';
        return api.POST('/register', { body: { name: 'Eve', email } });
      }),
    );
    const statuses = answers.map(({ response }) => response.status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
  });

  it('lets one of twenty have an address, also when each has a key of its own', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        api.POST('/register', {
          params: { header: { 'Idempotency-Key': `twenty ${index}` } },
          body: { name: 'Eve', email: index % 2 ? 'keyed@example.com' : 'Keyed@Example.com' },
        }),
      ),
    );
    const statuses = answers.map(({ response }) => response.status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
    const { data } = await api.GET('/users', { params: { query: { email: 'keyed@example.com' } } });
    expect(data?.items.length).toBe(1);
  });

  it('refuses what is no e-mail address', async () => {
    for (const email of ['alice', '@example.com', 'alice@', 'a b@example.com', `${'a'.repeat(250)}@b.de`]) {
      const { error } = await api.POST('/register', { body: { name: 'Alice', email } });
      expect(error).toMatchObject({
        status: 400,
        errors: expect.arrayContaining([expect.objectContaining({ pointer: '/body/email' })]),
      });
    }
  });
});

describe('listUsers', () => {
  it('lists the newest first, and each user once', async () => {
    const mine: string[] = [];
    for (let index = 0; index < 12; index++) mine.push((await registerUser(`user ${index}`)).id);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const { data } = await api.GET('/users', { params: { query: { limit: 5, ...(cursor && { cursor }) } } });
      seen.push(...(data?.items ?? []).map((user) => user.id));
      cursor = data?.nextCursor ?? undefined;
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.slice(0, 12)).toEqual(mine.reverse());
  });

  it('refuses a cursor that it did not give', async () => {
    await registerUser('Carol');
    const { id } = await registerUser('Dave');
    const { data } = await api.GET('/users', { params: { query: { limit: 1 } } });
    const [name] = JSON.parse(Buffer.from(data?.nextCursor ?? '', 'base64url').toString()) as string[];
    const forged = [['listTasks', id, null], [name, id, 'a key, of a list that has none'], { name, id }];
    for (const cursor of ['x', ...forged.map((each) => Buffer.from(JSON.stringify(each)).toString('base64url'))]) {
      const { error } = await api.GET('/users', { params: { query: { cursor } } });
      const detail = 'must be a `nextCursor` of this list with the same filters and sort';
      expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/query/cursor', detail, code: 'cursor' }] });
    }
  });
});

describe('listUsers, filtered', () => {
  it('finds the one with an address, whatever its letters, and nobody by part of it', async () => {
    const { data: user } = await api.POST('/register', { body: { name: 'Mixed', email: 'Mixed.Case@Example.com' } });
    for (const [email, found] of [
      ['mixed.case@example.com', [user]],
      ['MIXED.CASE@EXAMPLE.COM', [user]],
      ['case@example.com', []],
    ] as const) {
      const { data } = await api.GET('/users', { params: { query: { email } } });
      expect(data).toEqual({ items: found, nextCursor: null });
    }
    const both = { email: 'mixed.case@example.com', q: 'nobody' };
    expect((await api.GET('/users', { params: { query: both } })).data?.items).toEqual([]);
    const { error } = await api.GET('/users', { params: { query: { email: 'no address' } } });
    expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/query/email' }] });
  });

  it('finds words in name and address, in pages that belong to them', async () => {
    const ids: string[] = [];
    for (const name of ['Grace Hopper', 'Grace Jones', 'Grace Kelly']) ids.unshift((await registerUser(name)).id);
    const query = { q: 'grace', limit: 2 };
    const { data: first } = await api.GET('/users', { params: { query } });
    const cursor = first?.nextCursor ?? '';
    const { data: second } = await api.GET('/users', { params: { query: { ...query, cursor } } });
    expect([...(first?.items ?? []), ...(second?.items ?? [])].map(({ id }) => id)).toEqual(ids);
    expect((await api.GET('/users', { params: { query: { q: 'HOPPER grace' } } })).data?.items).toMatchObject([
      { name: 'Grace Hopper' },
    ]);
    for (const [q, names] of [
      ['"grace jones"', ['Grace Jones']],
      ['"jones grace"', []],
      ['grace -kelly -jones', ['Grace Hopper']],
      ['hopper or kelly', ['Grace Kelly', 'Grace Hopper']],
      ['gra', []],
      ['!?', []],
    ] as const) {
      const { data } = await api.GET('/users', { params: { query: { q } } });
      expect([q, data?.items.map(({ name }) => name)]).toEqual([q, names]);
    }
    for (const other of [{ cursor }, { cursor, q: 'hopper' }]) {
      expect((await api.GET('/users', { params: { query: other } })).response.status).toBe(400);
    }
  });
});

describe('updateUser', () => {
  const patch = (userId: string, body: { name?: string; email?: string }) =>
    api.PATCH('/users/{userId}', { params: { path: { userId } }, body });

  it('answers 409 when another user has the address, and changes nothing', async () => {
    const taken = await registerUser('First');
    const user = await registerUser('Second');
    const email = taken.email.toUpperCase();
    const { error } = await patch(user.id, { name: 'Changed', email });
    const detail = `Another user has the email address ${email}.`;
    expect(error).toMatchObject({ type: '/user/problems/email-taken', status: 409, detail });
    expect((await api.GET('/users/{userId}', { params: { path: { userId: user.id } } })).data).toEqual(user);
  });

  it('takes another address, and leaves the old one to others', async () => {
    const user = await registerUser('Mover');
    const email = `moved.${user.email}`;
    expect((await patch(user.id, { email })).data).toMatchObject({ name: 'Mover', email, version: 2 });
    expect((await api.POST('/register', { body: { name: 'Next', email: user.email } })).response.status).toBe(201);
  });

  it('refuses what is no name and no address, with its place', async () => {
    const { id } = await registerUser('Steady');
    for (const [body, pointer] of [
      [{ name: '' }, '/body/name'],
      [{ name: 'x'.repeat(201) }, '/body/name'],
      [{ name: null }, '/body/name'],
      [{ email: 'nowhere' }, '/body/email'],
      [{ email: null }, '/body/email'],
    ] as const) {
      const errors = expect.arrayContaining([expect.objectContaining({ pointer })]);
      expect((await patch(id, body as object)).error).toMatchObject({ status: 400, errors });
    }
    expect((await patch(id, {})).data).toMatchObject({ name: 'Steady', version: 2 });
  });

  it('has the rules that matter kept by the database too, and does not take one for another', async () => {
    const { id } = await registerUser('Steady');
    await expect(updateUser(service.db, id, { name: '' }, null)).rejects.toThrow('violates check constraint');
  });

  it('lets one keep the address in other letters', async () => {
    const user = await registerUser('Keeper');
    expect((await patch(user.id, { email: user.email.toUpperCase() })).data).toMatchObject({
      email: user.email.toUpperCase(),
      name: 'Keeper',
      version: 2,
    });
  });

  it('lets one of ten have an address that all want at once', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, async () => (await registerUser('Wanting')).id));
    const answers = await Promise.all(ids.map((id) => patch(id, { email: 'only.one@example.com' })));
    expect(answers.map(({ response }) => response.status).sort()).toEqual([200, ...ids.slice(1).map(() => 409)]);
  });
});

describe('deleteUser', () => {
  it('makes the address free again', async () => {
    const { id, email } = await registerUser('Leaver');
    await api.DELETE('/users/{userId}', { params: { path: { userId: id } } });
    const { data: joiner } = await api.POST('/register', { body: { name: 'Joiner', email: email.toUpperCase() } });
    expect(joiner?.id).not.toBe(id);
    expect((await api.GET('/users/{userId}', { params: { path: { userId: id } } })).response.status).toBe(404);
    expect((await api.GET('/users', { params: { query: { email } } })).data?.items).toEqual([joiner]);
  });
});

describe('getUser', () => {
  it('answers with the user who was registered', async () => {
    const user = await registerUser('Dave');
    const { data } = await api.GET('/users/{userId}', { params: { path: { userId: user.id } } });
    expect(data).toEqual(user);
  });

  it('answers 404 for an id that no user has', async () => {
    const userId = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
    const { error } = await api.GET('/users/{userId}', { params: { path: { userId } } });
    expect(error).toMatchObject({ type: '/user/problems/not-found', status: 404 });
  });
});

describe('listUserEvents', () => {
  it('tells of a user in the order of their versions, also when an older transaction was the last to change them', async () => {
    const { data: before } = await api.GET('/users/feed', { params: { query: { cursor: 'latest', limit: 1 } } });
    await service.db.transaction(async (older) => {
      await older.query({ text: 'select pg_current_xact_id()' });
      const { id: userId } = await registerUser('Registered by a younger transaction');
      await api.PATCH('/users/{userId}', { params: { path: { userId } }, body: { name: 'Changed by it' } });
      await updateUser(older, userId, { name: 'Changed by the older one' }, null);
      await deleteUser(older, userId, null);
    });
    const query = { limit: 100, ...(before?.nextCursor && { cursor: before.nextCursor }) };
    const { data } = await api.GET('/users/feed', { params: { query } });
    expect(data?.items.map(({ type, data: { version } }) => `${type} ${version}`)).toEqual([
      'user.registered 1',
      'user.updated 2',
      'user.updated 3',
      'user.deleted 3',
    ]);
  });
});
