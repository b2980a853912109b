import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startMock, type System } from './system.ts';

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
  it('answers lists from the examples of the contracts, worth building a screen on', async () => {
    expect(await (await fetch(`${url}/tasks`)).json()).toMatchObject({
      items: [{ title: 'Call the plumber' }, { title: 'Buy milk' }, { title: 'Prepare the quarterly review' }],
    });
    expect(await (await fetch(`${url}/user/users`)).json()).toMatchObject({
      items: [{ name: 'Grace Hopper' }, { name: 'Bob' }, { name: 'Alice' }],
    });
  });

  it('takes what the contract allows, and refuses what it does not', async () => {
    expect((await post('/tasks', { title: 'Buy milk' })).status).toBe(201);
    expect((await post('/user/register', { name: 'Alice', email: 'alice@example.com' })).status).toBe(201);
    expect((await post('/tasks', { title: '' })).status).toBe(400);
    expect((await post('/user/register', { name: 'Alice' })).status).toBe(400);
  });
});
