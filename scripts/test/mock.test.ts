import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import getPort from 'get-port';

let mock: ChildProcess;
let url: string;
beforeAll(async () => {
  const port = await getPort();
  url = `http://localhost:${port}`;
  mock = spawn(process.execPath, [fileURLToPath(new URL('../dist/mock.js', import.meta.url))], {
    env: { ...process.env, PORT: String(port) },
    stdio: 'ignore',
  });
  for (const path of ['/health', '/user/health']) {
    while (!(await fetch(url + path).catch(() => undefined))?.ok) await sleep(50);
  }
});
afterAll(async () => {
  const ended = once(mock, 'exit');
  mock.kill();
  expect(await ended).toEqual([0, null]);
});

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
