/** Clients that send too slowly: how long they may hold a connection, and whether other requests are served meanwhile. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface SlowClients {
  sockets: number;
  /** Until the last connection of a kind was closed; Infinity when one was not. */
  secondsByKind: Record<string, number>;
  /** Other requests meanwhile. */
  failed: number;
  served: number;
}

const socketsPerKind = 500;
const timeoutMs = 15_000;
const head = 'POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

/** What each kind sends at first, and then every second. */
const kinds: [name: string, first: string, next: string][] = [
  ['sends nothing', '', ''],
  ['sends headers slowly', 'POST /tasks HTTP/1.1\r\n', 'X-Slow: 1\r\n'],
  ['sends a body slowly', `${head}Content-Length: 1000\r\n\r\n{"title":"`, 'x'],
];

export async function openSlowClients(url: string): Promise<SlowClients> {
  const startedAt = performance.now();
  const clients = kinds.flatMap((kind) => Array.from({ length: socketsPerKind }, () => openSocket(url, kind)));
  let [served, failed] = [0, 0];
  while (clients.some(({ socket }) => !socket.destroyed) && performance.now() - startedAt < timeoutMs) {
    const response = await fetch(`${url}/tasks?limit=1`).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) served++;
    else failed++;
    await sleep(10);
  }
  const secondsByKind = Object.fromEntries(
    kinds.map(([name]) => {
      const closedAt = clients.filter((client) => client.name === name).map((client) => client.closedAt);
      return [name, (Math.max(...closedAt) - startedAt) / 1000];
    }),
  );
  for (const { socket } of clients) socket.destroy();
  return { sockets: clients.length, secondsByKind, failed, served };
}

function openSocket(url: string, [name, first, next]: (typeof kinds)[number]) {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1' });
  const client = { name, socket, closedAt: Infinity };
  const sending = setInterval(() => socket.writable && socket.write(next), 1000);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearInterval(sending);
    client.closedAt = performance.now();
  });
  socket.resume();
  socket.write(first);
  return client;
}
