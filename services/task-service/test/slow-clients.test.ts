/** Slow clients, five hundred of each kind: what they get, when they are gone, and what the others feel of it. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { newEnvironment } from '@task-manager/testing/harness';
import { runService, untilStatus, type Process } from '@task-manager/testing/processes';
import { closed, dial, requestOf } from '@task-manager/testing/raw-http';
import { json, open, send } from '@task-manager/testing/subject';

// Each waits for longer than the limit, and has all its clients to serve.
jest.setTimeout(90_000);
const count = 500;
const limitMs = 8000;
let service: Process;

beforeEach(async () => {
  service = await runService('task-service', await newEnvironment('task-service'));
  await untilStatus(200, `${service.url}/health`);
});
afterEach(async () => {
  service.child.kill('SIGKILL');
  await service.exited;
});

/** Connects many, each of which sends this, and then a byte at a time if there is more. */
function slow(first: string, rest = ''): Promise<Socket>[] {
  return Array.from({ length: count }, async () => {
    const socket = await dial(service.url);
    socket.write(first);
    void drip(socket, rest);
    return socket;
  });
}

async function drip(socket: Socket, rest: string): Promise<void> {
  for (const byte of rest) {
    await sleep(500);
    if (!socket.writable) return;
    socket.write(byte);
  }
}

/** What the service says to each, and after how long it has let go of the last. */
async function fates(sockets: Promise<Socket>[]): Promise<{ answers: string[]; longestMs: number }> {
  let longestMs = 0;
  const answers = sockets.map(async (connecting) => {
    const socket = await connecting;
    const begin = performance.now();
    let answer = '';
    socket.on('data', (data) => (answer += data.toString()));
    await closed(socket);
    longestMs = Math.max(longestMs, performance.now() - begin);
    return answer;
  });
  return { answers: await Promise.all(answers), longestMs };
}

/** Asks again and again until the signal; the slowest answer, in milliseconds. */
async function othersUntil(signal: AbortSignal): Promise<number> {
  let slowestMs = 0;
  while (!signal.aborted) {
    const begin = performance.now();
    expect((await send(`${service.url}/tasks`, 'GET')).status).toBe(200);
    slowestMs = Math.max(slowestMs, performance.now() - begin);
    await sleep(50);
  }
  return slowestMs;
}

async function memory(): Promise<number> {
  const { text } = await send(`${service.metricsUrl}/metrics`, 'GET');
  return Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1]);
}

it('lets go of those that are slow within 8 s, with 408 if they began a request, while it serves the others', async () => {
  const body = JSON.stringify({ title: 'Never whole' });
  const silent = fates(slow(''));
  const halfHeads = fates(slow('GET /tasks HTTP/1.1\r\nHost: a\r\nX-Slow: ', 'x'.repeat(100)));
  const halfBodies = fates(slow(requestOf('POST', '/tasks', json, body).slice(0, -15), ' '.repeat(14)));
  // The others go on meanwhile, and so do they that wait with good reason.
  const over = new AbortController();
  const others = othersUntil(over.signal);
  const waiting = send(`${service.url}/tasks/feed?cursor=latest&wait=9&limit=1`, 'GET');
  const stream = await open(`${service.url}/tasks/feed?cursor=latest`, 'GET', { Accept: 'text/event-stream' });
  stream.resume();

  const all = await Promise.all([silent, halfHeads, halfBodies]);
  over.abort();
  for (const { longestMs } of all) expect(longestMs).toBeLessThan(limitMs);
  const [nothing, ...refusals] = all.map(({ answers }) => new Set(answers.map((each) => each.replace(/\r\n[^]*/, ''))));
  expect(nothing).toEqual(new Set(['']));
  for (const said of refusals) expect(said).toEqual(new Set(['HTTP/1.1 408 Request Timeout']));
  expect(await others).toBeLessThan(2000);
  expect((await waiting).status).toBe(200);
  expect(stream.readableEnded).toBe(false);
  stream.destroy();
  expect((await send(`${service.url}/tasks`, 'GET')).body.items).toEqual([]);
});

it('lets go of those that never read their answer within 8 s, not of those that read it slowly', async () => {
  const path = '/assets/redoc.standalone.js';
  const whole = Buffer.byteLength((await send(service.url + path, 'GET')).text);
  const before = await memory();
  const sockets = await Promise.all(slow(requestOf('GET', path).repeat(5)));
  const reader = await open(service.url + path, 'GET', {});
  let bytes = 0;
  const reading = (async () => {
    for await (const chunk of reader) {
      bytes += (chunk as Buffer).length;
      await sleep((chunk as Buffer).length / 120);
    }
  })();
  await sleep(limitMs);
  expect((await memory()) - before).toBeLessThan(200_000_000);
  // What they find when they look at last: less than they asked for, and the end.
  const found = sockets.map(async (socket) => {
    let length = 0;
    socket.on('data', (data: Buffer) => (length += data.length));
    await closed(socket);
    return length;
  });
  expect(Math.max(...(await Promise.all(found)))).toBeLessThan(5 * whole);
  await reading;
  expect(bytes).toBe(whole);
});
