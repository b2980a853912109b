/** Clients that send or read too slowly: how long they are put up with, and whether others are served meanwhile. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Slow {
  sockets: number;
  /** Until the last of them was cut off; Infinity when one was not. */
  secondsByKind: Record<string, number>;
  /** Requests of others that were not answered well. */
  failed: number;
  served: number;
}

const each = 500;
const patienceSeconds = 15;
const head = 'POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

/** What each kind sends at first, and then every second. */
const kinds: Record<string, { first: string; then: string }> = {
  'sends nothing': { first: '', then: '' },
  'sends a head slowly': { first: 'POST /tasks HTTP/1.1\r\n', then: 'X-Slow: 1\r\n' },
  'sends a body slowly': { first: `${head}Content-Length: 1000\r\n\r\n{"title":"`, then: 'x' },
};

/** Opens 500 sockets of each kind at the server, and asks for a list all the time. */
export async function outlast(url: string): Promise<Slow> {
  const port = Number(new URL(url).port);
  const beganAt = performance.now();
  const closedAt = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, [] as number[]]));
  const sockets: Socket[] = [];
  const senders: NodeJS.Timeout[] = [];
  for (const [kind, { first, then }] of Object.entries(kinds)) {
    for (let number = 0; number < each; number++) {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('error', () => undefined);
      socket.on('close', () => closedAt[kind]?.push((performance.now() - beganAt) / 1000));
      socket.resume();
      socket.write(first);
      sockets.push(socket);
      if (then) senders.push(setInterval(() => socket.writable && socket.write(then), 1000));
    }
  }
  let [served, failed] = [0, 0];
  while (sockets.some(({ destroyed }) => !destroyed) && performance.now() - beganAt < patienceSeconds * 1000) {
    const response = await fetch(`${url}/tasks?limit=1`).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) served++;
    else failed++;
    await sleep(10);
  }
  senders.forEach(clearInterval);
  const secondsOf = (times: number[]) => (times.length < each ? Infinity : Math.max(...times));
  const secondsByKind = Object.fromEntries(Object.entries(closedAt).map(([kind, times]) => [kind, secondsOf(times)]));
  sockets.forEach((socket) => socket.destroy());
  return { sockets: sockets.length, secondsByKind, failed, served };
}
