import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import createClient, { type Client } from 'openapi-fetch';
import type { paths } from '../../../generated/user-service.d.ts';
import { serve, type TestService } from '../../runtime/test/harness.ts';
import { userHandlers } from '../src/handlers.ts';

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
      expect(error).toMatchObject({ type: '/user/problems/email-taken', status: 409 });
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
    const { id } = await registerUser('Carol');
    const foreign = Buffer.from(JSON.stringify(['listTasks', id])).toString('base64url');
    for (const cursor of ['x', foreign]) {
      const { error } = await api.GET('/users', { params: { query: { cursor } } });
      expect(error).toMatchObject({ status: 400, errors: [{ pointer: '/query/cursor' }] });
    }
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
