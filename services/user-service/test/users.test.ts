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
async function registerUser(name: string) {
  registered += 1;
  const { data } = await api.POST('/register', { body: { name, email: `user${registered}@example.com` } });
  if (!data) throw new Error('no user was registered');
  return data;
}

describe('registerUser', () => {
  it('returns 201 with the user and its Location', async () => {
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

  it('returns 409 when another user has the email address in any case', async () => {
    await api.POST('/register', { body: { name: 'Bob', email: 'Bob@Example.com' } });
    for (const email of ['Bob@Example.com', 'bob@example.com', 'BOB@EXAMPLE.COM']) {
      const { error } = await api.POST('/register', { body: { name: 'Another Bob', email } });
      const detail = `Another user has the email address ${email}.`;
      expect(error).toMatchObject({ type: '/user/problems/email-taken', status: 409, detail });
    }
  });

  it('registers one of twenty users when they register the same email address at once', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => {
        const email = index % 2 ? 'eve@example.com' : 'EVE@example.com';
        return api.POST('/register', { body: { name: 'Eve', email } });
      }),
    );
    const statuses = results.map(({ response }) => response.status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
  });

  it('registers one of twenty users with the same email address when each has its own Idempotency-Key', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        api.POST('/register', {
          params: { header: { 'Idempotency-Key': `key-${index}` } },
          body: { name: 'Eve', email: index % 2 ? 'eve.adams@example.com' : 'Eve.Adams@Example.com' },
        }),
      ),
    );
    const statuses = results.map(({ response }) => response.status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
    const { data } = await api.GET('/users', { params: { query: { email: 'eve.adams@example.com' } } });
    expect(data?.items.length).toBe(1);
  });

  it('returns 400 when the email address is invalid', async () => {
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
  it('returns each user once over all pages, newest first', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 12; index++) ids.push((await registerUser(`User ${index}`)).id);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const { data } = await api.GET('/users', { params: { query: { limit: 5, ...(cursor && { cursor }) } } });
      seen.push(...(data?.items ?? []).map((user) => user.id));
      cursor = data?.nextCursor ?? undefined;
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.slice(0, 12)).toEqual(ids.reverse());
  });

  it('returns 400 when the cursor is forged', async () => {
    await registerUser('Carol');
    const { id } = await registerUser('Dave');
    const { data } = await api.GET('/users', { params: { query: { limit: 1 } } });
    const [name] = JSON.parse(Buffer.from(data?.nextCursor ?? '', 'base64url').toString()) as string[];
    const forged = [['listTasks', id, null], [name, id, 'a sort key'], { name, id }];
    for (const cursor of ['x', ...forged.map((each) => Buffer.from(JSON.stringify(each)).toString('base64url'))]) {
      const { error } = await api.GET('/users', { params: { query: { cursor } } });
      const detail = 'must be a `nextCursor` of this list with the same filters and sort';
      expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/query/cursor', detail, code: 'cursor' }] });
    }
  });
});

describe('listUsers with filters', () => {
  it('finds a user by the whole email address in any case', async () => {
    const { data: user } = await api.POST('/register', {
      body: { name: 'Ada Lovelace', email: 'Ada.Lovelace@Example.com' },
    });
    for (const [email, found] of [
      ['ada.lovelace@example.com', [user]],
      ['ADA.LOVELACE@EXAMPLE.COM', [user]],
      ['lovelace@example.com', []],
    ] as const) {
      const { data } = await api.GET('/users', { params: { query: { email } } });
      expect(data).toEqual({ items: found, nextCursor: null });
    }
    const both = { email: 'ada.lovelace@example.com', q: 'grace' };
    expect((await api.GET('/users', { params: { query: both } })).data?.items).toEqual([]);
    const { error } = await api.GET('/users', { params: { query: { email: 'ada' } } });
    expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/query/email' }] });
  });

  it('finds words in the name and returns 400 when the cursor belongs to another query', async () => {
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
      ['gra', ['Grace Kelly', 'Grace Jones', 'Grace Hopper']],
      ['"gra"', []],
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

  it('finds the words of both fields after an update of one', async () => {
    const { id } = await registerUser('Émile—Zola');
    for (const [body, found, notFound] of [
      [{}, ['e\u0301mile', 'ZOLA'], ['dumas']],
      [{ email: 'nana@rougon.example' }, ['émile', 'nana', 'rougon.example', 'nana@rougon.example'], []],
      [{ name: 'Dumas' }, ['dumas', 'nana@rougon.example'], ['émile', 'zola']],
    ] as const) {
      if (Object.keys(body).length > 0) expect((await patch(id, body)).response.status).toBe(200);
      for (const q of [...found, ...notFound]) {
        const { data } = await api.GET('/users', { params: { query: { q } } });
        expect([q, data?.items.map((user) => user.id)]).toEqual([
          q,
          (found as readonly string[]).includes(q) ? [id] : [],
        ]);
      }
    }
  });

  it('returns 409 and changes nothing when another user has the email address', async () => {
    const taken = await registerUser('Alice');
    const user = await registerUser('Bob');
    const email = taken.email.toUpperCase();
    const { error } = await patch(user.id, { name: 'Robert', email });
    const detail = `Another user has the email address ${email}.`;
    expect(error).toMatchObject({ type: '/user/problems/email-taken', status: 409, detail });
    expect((await api.GET('/users/{userId}', { params: { path: { userId: user.id } } })).data).toEqual(user);
  });

  it('changes the email address and releases the old one', async () => {
    const user = await registerUser('Carol');
    const email = `moved.${user.email}`;
    expect((await patch(user.id, { email })).data).toMatchObject({ name: 'Carol', email, version: 2 });
    expect((await api.POST('/register', { body: { name: 'Dave', email: user.email } })).response.status).toBe(201);
  });

  it('returns 400 with the pointer of the field when the name or the email address is invalid', async () => {
    const { id } = await registerUser('Dave');
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
    expect((await patch(id, {})).data).toMatchObject({ name: 'Dave', version: 2 });
  });

  it('fails with the violated constraint when the database rejects a value', async () => {
    const { id } = await registerUser('Dave');
    await expect(updateUser(service.db, id, { name: '' }, null)).rejects.toThrow('violates check constraint');
  });

  it('accepts the current email address in another case', async () => {
    const user = await registerUser('Grace');
    expect((await patch(user.id, { email: user.email.toUpperCase() })).data).toMatchObject({
      email: user.email.toUpperCase(),
      name: 'Grace',
      version: 2,
    });
  });

  it('updates one of ten users when they change to the same email address at once', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, async () => (await registerUser('Eve')).id));
    const results = await Promise.all(ids.map((id) => patch(id, { email: 'shared@example.com' })));
    expect(results.map(({ response }) => response.status).sort()).toEqual([200, ...ids.slice(1).map(() => 409)]);
  });
});

describe('deleteUser', () => {
  it('releases the email address', async () => {
    const { id, email } = await registerUser('Heidi');
    await api.DELETE('/users/{userId}', { params: { path: { userId: id } } });
    const { data: successor } = await api.POST('/register', { body: { name: 'Ivan', email: email.toUpperCase() } });
    expect(successor?.id).not.toBe(id);
    expect((await api.GET('/users/{userId}', { params: { path: { userId: id } } })).response.status).toBe(404);
    expect((await api.GET('/users', { params: { query: { email } } })).data?.items).toEqual([successor]);
  });
});

describe('getUser', () => {
  it('returns the user', async () => {
    const user = await registerUser('Dave');
    const { data } = await api.GET('/users/{userId}', { params: { path: { userId: user.id } } });
    expect(data).toEqual(user);
  });

  it('returns 404 when the user does not exist', async () => {
    const userId = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
    const { error } = await api.GET('/users/{userId}', { params: { path: { userId } } });
    expect(error).toMatchObject({ type: '/user/problems/not-found', status: 404 });
  });
});

describe('listUserEvents', () => {
  it('returns the events of a user in version order when an older transaction changes the user last', async () => {
    const { data: before } = await api.GET('/users/feed', { params: { query: { cursor: 'latest', limit: 1 } } });
    await service.db.transaction(async (older) => {
      await older.query({ text: 'select pg_current_xact_id()' });
      const { id: userId } = await registerUser('Judy');
      await api.PATCH('/users/{userId}', { params: { path: { userId } }, body: { name: 'Judy Miller' } });
      await updateUser(older, userId, { name: 'Judy Smith' }, null);
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
