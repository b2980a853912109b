/**
 * The local gateway, in place of the Ingress of a cluster. It reads its routes from `kubernetes/ingress.yaml`, distributes
 * requests over the replicas of a service and skips those that are not ready.
 *
 * It uses node:http because proxy libraries send the body while they connect; a POST whose connection was refused could
 * not go to the next replica.
 */
import { once } from 'node:events';
import http, { type ClientRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpError } from '@task-manager/runtime/errors';
import { sendContinue } from '@task-manager/runtime/http/body';
import { createHttpServer } from '@task-manager/runtime/http/server';
import { parse } from 'yaml';

export interface Route {
  host: string;
  /** Matches whole segments: `/user` matches `/user` and `/user/users`, not `/users`. */
  path: string;
  service: string;
}

export interface Gateway {
  port: number;
  /** Whether each service had a ready replica at the last health check. */
  ready(): boolean;
  /** Accepts no more requests. Resolves when pending ones have ended, at most after a second. */
  close(): Promise<void>;
}

/**
 * `ready`: `/health` returns 200. `listening`: it returns another status, during startup or without a database. `draining`:
 * it also closes the connection, before the replica exits. In order of preference.
 */
const healths = ['ready', 'listening', 'draining', 'down'] as const;
export type Health = (typeof healths)[number];

interface Replica {
  service: string;
  port: number;
  health: Health;
  /** The sequence number of the last request. */
  lastUsed: number;
}

const host = '127.0.0.1';
/** Clients connect to either for `localhost`. */
const addresses = [host, '::1'];
const checkIntervalMs = 250;
const checkIntervalNotReadyMs = 100;
const checkTimeoutMs = 2000;
const responseTimeoutMs = 60_000;
const closeTimeoutMs = 1000;
const retryAfterSeconds = 1;

let requests = 0;

/** The routes of an Ingress, longest path first. Throws when it has a path of a type other than Prefix. */
export function readRoutes(ingressYaml: string): Route[] {
  const { spec } = parse(ingressYaml) as Ingress;
  const routes = spec.rules.flatMap((rule) =>
    rule.http.paths.map(({ path, pathType, backend }) => {
      if (pathType !== 'Prefix') throw new Error(`the local gateway knows only paths of type Prefix, not ${pathType}`);
      return { host: rule.host, path: path.replace(/\/$/, ''), service: backend.service.name };
    }),
  );
  return routes.sort((a, b) => b.path.length - a.path.length);
}

/** The services that the routes name. */
export function servicesOf(routes: Route[]): string[] {
  return [...new Set(routes.map(({ service }) => service))].sort();
}

/** The port in `PORT`, or the default. Throws when it is not a port. */
export function readPort(defaultPort: number): number {
  const port = Number(process.env.PORT ?? defaultPort);
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new Error(`PORT is ${process.env.PORT}: set it to an integer between 1 and 65535`);
}

/**
 * Listens on 127.0.0.1 and ::1, and sends each request to a replica of the service in its route. Rejects with an Error of
 * one line when it cannot listen on the port.
 */
export async function startGateway(options: {
  port: number;
  routes: Route[];
  replicas: { service: string; port: number }[];
  /** The requests that it handles itself with 204, by method and path (`POST /sandbox/reset`). */
  commands?: Record<string, () => Promise<void>>;
}): Promise<Gateway> {
  const replicas = options.replicas.map(({ service, port }): Replica => ({
    service,
    port,
    health: 'down',
    lastUsed: 0,
  }));
  const agent = new http.Agent({ keepAlive: true });
  const stopChecks = new AbortController();
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    // Close connections after the response while the gateway shuts down.
    if (stopChecks.signal.aborted) response.shouldKeepAlive = false;
    const route = findRoute(options.routes, request);
    const command = options.commands?.[`${request.method} ${pathOf(request)}`];
    if (!request.headers.host) sendProblem(request, response, 400, 'The request has no Host header.');
    else if (command) void runCommand(request, response, command);
    else if (!route) sendProblem(request, response, 404, 'The gateway has no route for this host and path.');
    else void dispatch(request, response, candidates(replicas, route.service), agent);
  };
  const reject = (request: IncomingMessage, response: ServerResponse, { status, message }: HttpError) => {
    sendProblem(request, response, status, message);
  };
  // The HTTP parser and limits of the services: both must agree where a request ends (request smuggling).
  const servers = addresses.map(() => createHttpServer({ serve, reject }));
  const port = await listen(servers, options.port);
  await Promise.all(replicas.map((replica) => keepChecking(replica, stopChecks.signal)));

  return {
    port,
    ready: () => servicesOf(options.routes).every((service) => candidates(replicas, service)[0]?.health === 'ready'),
    async close() {
      stopChecks.abort();
      const limit = setTimeout(() => {
        for (const server of servers) server.closeAllConnections();
      }, closeTimeoutMs);
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
      clearTimeout(limit);
      agent.destroy();
    },
  };
}

/** Listens on both addresses, or on one when the machine has no IPv6. Returns the port. */
async function listen(servers: Server[], port: number): Promise<number> {
  for (const [i, server] of servers.entries()) {
    try {
      server.listen(port, addresses[i]);
      await once(server, 'listening');
      ({ port } = server.address() as AddressInfo);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(code)) continue;
      for (const each of servers) each.close();
      const reason = code === 'EADDRINUSE' ? 'taken' : `unavailable (${String(error)})`;
      throw new Error(`port ${port} is ${reason}: stop what uses it, or set PORT to another one`, { cause: error });
    }
  }
  return port;
}

async function runCommand(
  request: IncomingMessage,
  response: ServerResponse,
  command: () => Promise<void>,
): Promise<void> {
  try {
    request.resume();
    await command();
    response.writeHead(204).end();
  } catch (error) {
    sendProblem(request, response, 500, String(error));
  }
}

/** Reads `/health` of a replica. */
export async function checkHealth(port: number): Promise<Health> {
  const signal = AbortSignal.timeout(checkTimeoutMs);
  const answer = await fetch(`http://${host}:${port}/health`, { signal }).catch(() => undefined);
  await answer?.body?.cancel();
  if (!answer) return 'down';
  if (answer.ok) return 'ready';
  return answer.headers.get('connection') === 'close' ? 'draining' : 'listening';
}

/** Checks a replica until the signal aborts. Resolves after the first check. */
async function keepChecking(replica: Replica, signal: AbortSignal): Promise<void> {
  replica.health = await checkHealth(replica.port);
  void (async () => {
    while (!signal.aborted) {
      const intervalMs = replica.health === 'ready' ? checkIntervalMs : checkIntervalNotReadyMs;
      await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
      replica.health = await checkHealth(replica.port);
    }
  })();
}

/** The replicas to try: the healthiest first, then the least recently used. */
function candidates(replicas: Replica[], service: string): Replica[] {
  return replicas
    .filter((replica) => replica.service === service && replica.health !== 'down')
    .sort((a, b) => healths.indexOf(a.health) - healths.indexOf(b.health) || a.lastUsed - b.lastUsed);
}

/** Tries the replicas in order until one responds. */
async function dispatch(
  request: IncomingMessage,
  response: ServerResponse,
  replicas: Replica[],
  agent: http.Agent,
): Promise<void> {
  // Safe methods without a body can be retried.
  const retryable =
    ['GET', 'HEAD', 'OPTIONS'].includes(request.method ?? '') &&
    request.headers['content-length'] === undefined &&
    request.headers['transfer-encoding'] === undefined;
  let connections = retryable ? agent : false;
  for (const replica of replicas) {
    replica.lastUsed = ++requests;
    const outcome = await forward(request, response, replica, connections);
    if (outcome === 'responded') return;
    if (outcome === 'lost' && !retryable) {
      sendProblem(
        request,
        response,
        502,
        'The connection to the service was lost before it responded: check whether the change was made.',
      );
      return;
    }
    // Retry on a new connection: the replica may have closed the idle one.
    connections = false;
  }
  response.setHeader('Retry-After', retryAfterSeconds);
  sendProblem(request, response, 503, 'No replica of the service is reachable.');
}

/**
 * Forwards a request to a replica and its response to the client. `refused`: the replica received nothing. `lost`: it may
 * have received the request, but did not respond. An incomplete response aborts the client's connection.
 */
function forward(
  request: IncomingMessage,
  response: ServerResponse,
  replica: Replica,
  connections: http.Agent | false,
): Promise<'responded' | 'refused' | 'lost'> {
  const upstream = http.request({
    ...{ host, port: replica.port, agent: connections, timeout: responseTimeoutMs },
    ...{ method: request.method, path: request.url, headers: forwardedHeaders(request) },
  });
  const abandon = () => upstream.destroy();
  response.once('close', abandon);
  upstream.once('timeout', abandon);
  let refusal: HttpError | undefined;
  request.on('error', (error) => {
    if (error instanceof HttpError) refusal = error;
    abandon();
  });
  sendBody(request, response, upstream, connections);
  return new Promise((resolve) => {
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      response.off('close', abandon);
      if (response.headersSent || response.destroyed) {
        resolve('responded');
        return;
      }
      if (refusal) {
        sendProblem(request, response, refusal.status, refusal.message);
        resolve('responded');
        return;
      }
      const refused = error.code === 'ECONNREFUSED';
      if (refused || !upstream.reusedSocket) replica.health = 'down';
      resolve(refused ? 'refused' : 'lost');
    });
    upstream.on('response', (answer) => {
      // Node chunks the body itself, when the client understands that: HTTP/1.0 does not.
      const headers = endToEnd(answer.rawHeaders, /^transfer-encoding$/i);
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
      answer.pipe(response);
      answer.on('close', () => {
        if (!answer.complete) response.destroy();
        // Discard the rest of a body that the replica did not read.
        request.unpipe(upstream).resume();
        resolve('responded');
      });
    });
  });
}

/** Reads the body only after the replica is connected, so that a refused request can go to the next one. */
function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  upstream: ClientRequest,
  connections: http.Agent | false,
): void {
  if (connections) {
    upstream.end();
    return;
  }
  upstream.once('socket', (socket) =>
    socket.once('connect', () => {
      sendContinue(request, response);
      request.pipe(upstream);
    }),
  );
}

/** Replaces forwarding headers of the client: this is the first hop. */
function forwardedHeaders({ rawHeaders, headers, socket }: IncomingMessage): string[] {
  return [
    ...endToEnd(rawHeaders, /^(x-forwarded-.*|forwarded|expect)$/i),
    ...['X-Forwarded-For', socket.remoteAddress ?? ''],
    ...['X-Forwarded-Proto', 'http'],
    ...['X-Forwarded-Host', headers.host ?? ''],
  ];
}

/**
 * Removes hop-by-hop headers (RFC 9110, section 7.6.1). Keeps the headers that frame the body even if `Connection` names
 * them: otherwise the body would be parsed as the next request.
 */
function endToEnd(rawHeaders: string[], alsoWithout = /^$/): string[] {
  const pairs = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? ''] as const] : []));
  const named = pairs.flatMap(([name, value]) =>
    /^connection$/i.test(name) ? value.toLowerCase().split(/\s*,\s*/) : [],
  );
  const framing = /^(content-length|transfer-encoding|host)$/i;
  const hopByHop = /^(connection|keep-alive|proxy-.*|te|trailer|upgrade)$/i;
  return pairs
    .filter(([name]) => !hopByHop.test(name) && !alsoWithout.test(name))
    .filter(([name]) => framing.test(name) || !named.includes(name.toLowerCase()))
    .flat();
}

function findRoute(routes: Route[], request: IncomingMessage): Route | undefined {
  const name = request.headers.host?.toLowerCase().replace(/:\d*$/, '') ?? '';
  const local = ['localhost', host, '[::1]'].includes(name);
  return routes.find((route) => (local || name === route.host) && `${pathOf(request)}/`.startsWith(`${route.path}/`));
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.replace(/[?#].*/, '');
}

function sendProblem(request: IncomingMessage, response: ServerResponse, status: number, detail: string): void {
  const instance = pathOf(request);
  const body = JSON.stringify({ type: 'about:blank', title: http.STATUS_CODES[status], status, detail, instance });
  response.writeHead(status, { 'Content-Type': 'application/problem+json', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
  request.resume();
}

/** The used parts of a Kubernetes Ingress (networking.k8s.io/v1). */
interface Ingress {
  spec: {
    rules: {
      host: string;
      http: { paths: { path: string; pathType: string; backend: { service: { name: string } } }[] };
    }[];
  };
}
