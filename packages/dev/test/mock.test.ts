import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startMock, type System } from '@task-manager/testing/system';

let mock: System;
let url: string;
beforeAll(async () => {
  mock = await startMock();
  url = mock.url;
});
afterAll(() => mock.stop());

const post = (path: string, body: object) =>
  fetch(url + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

describe('npm run mock', () => {
  it('returns the lists in the examples of the contracts', async () => {
    expect(await (await fetch(`${url}/tasks`)).json()).toMatchObject({
      items: [{ title: 'Call the plumber' }, { title: 'Buy milk' }, { title: 'Prepare the quarterly review' }],
    });
    expect(await (await fetch(`${url}/user/users`)).json()).toMatchObject({
      items: [{ name: 'Grace Hopper' }, { name: 'Bob' }, { name: 'Alice' }],
    });
  });

  it('serves the paths of each service with and without its prefix', async () => {
    for (const path of ['/users', '/users/feed', '/users/01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10']) {
      const [outside, inside] = await Promise.all([`/user${path}`, path].map((each) => fetch(url + each)));
      expect([outside?.status, inside?.status]).toEqual([200, 200]);
      expect(await inside?.json()).toEqual(await outside?.json());
    }
    expect((await post('/register', { name: 'Alice', email: 'alice@example.com' })).status).toBe(201);
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
  });

  it('returns 400 when a request is invalid', async () => {
    expect((await post('/tasks', { title: 'Buy milk' })).status).toBe(201);
    expect((await post('/user/register', { name: 'Alice', email: 'alice@example.com' })).status).toBe(201);
    expect((await post('/tasks', { title: '' })).status).toBe(400);
    expect((await post('/user/register', { name: 'Alice' })).status).toBe(400);
  });

  it('says that the 400 is an example, and which header describes the request', async () => {
    const response = await post('/tasks', { title: '' });
    const detail = 'This is an example. The header sl-violations lists what is invalid in your request.';
    expect(await response.json()).toMatchObject({ status: 400, detail });
    expect(response.headers.get('sl-violations')).toMatch(/"body","title".*must NOT have fewer than 1 characters/);
  });
});
