/** Slow clients: how long a server waits for them, in milliseconds, and how it lets go of them. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Options of a server. Who is late is told so within half a second, and gone a second later. */
export const timeouts = {
  // From the connection, or the first byte of a later request, to the end of the headers: 16 KB at most.
  headersTimeout: 5000,
  // To the end of the body, 1 MB at most: that is 1.4 Mbit/s; most bodies are a thousandth of it.
  requestTimeout: 6000,
  connectionsCheckingInterval: 500,
  // Longer than the proxies before us keep an idle connection (nginx 60 s, Traefik 90 s): the one who sends must be the one
  // who closes, or a request meets a connection that is just being closed, and a POST cannot be sent again.
  keepAliveTimeout: 95_000,
};

/** Node looks twice at an answer that is not read before it believes that nothing of it was. */
const stallTimeoutMs = 3000;

/**
 * Lets go of those that do not read their answer: nothing of it went out for 3 s. Who waits for an answer, and who reads an
 * endless one, may take all the time there is. Looks at all connections at once, so that no request pays for it.
 */
export function cutOffStalled(server: Server): void {
  const sockets = socketsOf(server);
  const looking = setInterval(() => {
    for (const socket of sockets) {
      const stalls = socket.writableLength > 0;
      if (stalls && socket.timeout !== stallTimeoutMs) socket.setTimeout(stallTimeoutMs);
      else if (!stalls && socket.timeout === stallTimeoutMs) socket.setTimeout(0);
    }
  }, timeouts.connectionsCheckingInterval);
  looking.unref();
  server.once('close', () => {
    clearInterval(looking);
  });
}

/** The connections that a server has, from now on. */
export function socketsOf(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return sockets;
}
