/** Clients that send too slowly: how long they may hold a connection, and whether other requests are served meanwhile. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figure } from './figures.ts';

const socketsPerKind = 500;
const timeoutMs = 15_000;
const head = 'POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

/** What each kind sends at first, and then every second. */
const kinds: [name: string, first: string, next: string][] = [
  ['sends nothing', '', ''],
  ['sends headers slowly', 'POST /tasks HTTP/1.1\r\n', 'X-Slow: 1\r\n'],
  ['sends a body slowly', `${head}Content-Length: 1000\r\n\r\n{"title":"`, 'x'],
];

export async function measureSlowClients(url: string): Promise<Figure[]> {
  const startedAt = performance.now();
  const clients = kinds.flatMap((kind) => Array.from({ length: socketsPerKind }, () => openSocket(url, kind)));
  let [requests, failed] = [0, 0];
  while (clients.some(({ socket }) => !socket.destroyed) && performance.now() - startedAt < timeoutMs) {
    const response = await fetch(`${url}/tasks?limit=1`).catch(() => undefined);
    await response?.arrayBuffer();
    requests++;
    if (!response?.ok) failed++;
    await sleep(10);
  }
  // Infinity for a connection that was not closed.
  const secondsOf = (closed: typeof clients) =>
    (Math.max(...closed.map(({ closedAt }) => closedAt)) - startedAt) / 1000;
  const details = kinds.map(
    ([kind]) => `${kind}: ${secondsOf(clients.filter(({ name }) => name === kind)).toFixed(1)} s`,
  );
  for (const { socket } of clients) socket.destroy();
  return [
    {
      ...{ name: `Time until ${clients.length} slow clients are disconnected`, measured: secondsOf(clients) },
      ...{ max: 8, unit: 's', details },
    },
    { name: `failures of ${requests} other requests meanwhile`, measured: failed, max: 0 },
  ];
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
