/** Slow clients, 500 of each kind: their responses and timeouts, and the latency of other clients meanwhile. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { newEnvironment } from '@task-manager/testing/harness';
import { spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { closed, openSocket, formatRequest } from '@task-manager/testing/raw-http';
import { json, open, send } from '@task-manager/testing/subject';

// Each test lasts longer than the 8 s limit.
jest.setTimeout(90_000);
const count = 500;
const limitMs = 8000;
let service: ServiceProcess;

beforeEach(async () => {
  service = await spawnService('task-service', await newEnvironment('task-service'));
  await untilStatus(200, `${service.url}/health`);
});
afterEach(async () => {
  service.child.kill('SIGKILL');
  await service.exited;
});

/** Connects 500 clients that send `first` at once, and then `rest` a byte at a time. */
function connectSlow(first: string, rest = ''): Promise<Socket>[] {
  return Array.from({ length: count }, async () => {
    const socket = await openSocket(service.url);
    socket.write(first);
    void sendSlowly(socket, rest);
    return socket;
  });
}

async function sendSlowly(socket: Socket, rest: string): Promise<void> {
  for (const byte of rest) {
    await sleep(500);
    if (!socket.writable) return;
    socket.write(byte);
  }
}

/** The response on each connection until the service closes it, and the longest time that this took. */
async function readResponses(sockets: Promise<Socket>[]): Promise<{ responses: string[]; longestMs: number }> {
  let longestMs = 0;
  const responses = sockets.map(async (connecting) => {
    const socket = await connecting;
    const begin = performance.now();
    let response = '';
    socket.on('data', (data) => (response += data.toString()));
    await closed(socket);
    longestMs = Math.max(longestMs, performance.now() - begin);
    return response;
  });
  return { responses: await Promise.all(responses), longestMs };
}

/** Lists tasks repeatedly until the signal; returns the slowest response in milliseconds. */
async function listTasksUntil(signal: AbortSignal): Promise<number> {
  let slowestMs = 0;
  while (!signal.aborted) {
    const begin = performance.now();
    expect((await send(`${service.url}/tasks`, 'GET')).status).toBe(200);
    slowestMs = Math.max(slowestMs, performance.now() - begin);
    await sleep(50);
  }
  return slowestMs;
}

async function residentMemory(): Promise<number> {
  const { text } = await send(`${service.metricsUrl}/metrics`, 'GET');
  return Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1]);
}

describe('slow clients', () => {
  it('closes slow connections within 8 s, with 408 after a partial request, and serves other clients', async () => {
    const body = JSON.stringify({ title: 'Buy milk' });
    const silent = readResponses(connectSlow(''));
    const partialHeaders = readResponses(connectSlow('GET /tasks HTTP/1.1\r\nHost: a\r\nX-Slow: ', 'x'.repeat(100)));
    const partialBodies = readResponses(
      connectSlow(formatRequest('POST', '/tasks', json, body).slice(0, -15), ' '.repeat(14)),
    );
    // Other requests, a long poll and an event stream are not affected.
    const done = new AbortController();
    const slowestMs = listTasksUntil(done.signal);
    const poll = send(`${service.url}/tasks/feed?cursor=latest&wait=9&limit=1`, 'GET');
    const stream = await open(`${service.url}/tasks/feed?cursor=latest`, 'GET', { Accept: 'text/event-stream' });
    stream.resume();

    const all = await Promise.all([silent, partialHeaders, partialBodies]);
    done.abort();
    for (const { longestMs } of all) expect(longestMs).toBeLessThan(limitMs);
    const [ofSilent, ...ofPartial] = all.map(
      ({ responses }) => new Set(responses.map((each) => each.replace(/\r\n[^]*/, ''))),
    );
    expect(ofSilent).toEqual(new Set(['']));
    for (const statusLines of ofPartial) expect(statusLines).toEqual(new Set(['HTTP/1.1 408 Request Timeout']));
    expect(await slowestMs).toBeLessThan(2000);
    expect((await poll).status).toBe(200);
    expect(stream.readableEnded).toBe(false);
    stream.destroy();
    expect((await send(`${service.url}/tasks`, 'GET')).body.items).toEqual([]);
  });

  it('closes connections within 8 s when clients read nothing, and keeps those of slow readers', async () => {
    const path = '/assets/redoc.standalone.js';
    const fullLength = Buffer.byteLength((await send(service.url + path, 'GET')).text);
    const before = await residentMemory();
    const sockets = await Promise.all(connectSlow(formatRequest('GET', path).repeat(5)));
    const reader = await open(service.url + path, 'GET', {});
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of reader) {
        bytes += (chunk as Buffer).length;
        await sleep((chunk as Buffer).length / 120);
      }
    })();
    await sleep(limitMs);
    expect((await residentMemory()) - before).toBeLessThan(200_000_000);
    // Reading now returns less than the five responses, then the end of the connection.
    const lengths = sockets.map(async (socket) => {
      let length = 0;
      socket.on('data', (data: Buffer) => (length += data.length));
      await closed(socket);
      return length;
    });
    expect(Math.max(...(await Promise.all(lengths)))).toBeLessThan(5 * fullLength);
    await reading;
    expect(bytes).toBe(fullLength);
  });
});
