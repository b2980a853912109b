/**
 * The local gateway: what the Ingress is in a cluster, for development on one machine. It takes its routes from
 * `kubernetes/ingress.yaml`, spreads requests over the replicas of a service and passes over one that cannot serve.
 *
 * Plain node:http and no proxy library: those send the body while they connect, and then a POST that was refused cannot
 * be sent to the next replica.
 */
import { once } from 'node:events';
import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpError } from '@task-manager/runtime/errors';
import { sendContinue } from '@task-manager/runtime/http/body';
import { createHttpServer } from '@task-manager/runtime/http/server';
import { parse } from 'yaml';

export interface Route {
  host: string;
  /** Matches itself and what is below it: `/user` matches `/user` and `/user/users`, not `/users`. */
  path: string;
  service: string;
}

export interface Gateway {
  port: number;
  /** Whether each service has a replica that could serve when it was last looked at. */
  ready(): boolean;
  /** Accepts no more requests, and resolves when those that are under way are answered, or after a second. */
  close(): Promise<void>;
}

/**
 * `ready` answers its `/health` with 200. `listening` answers it with something else: it starts, or lacks its database.
 * `draining` closes the connection after that: soon it will be gone. The earlier it stands here, the sooner it is asked.
 */
const healths = ['ready', 'listening', 'draining', 'down'] as const;
export type Health = (typeof healths)[number];

interface Replica {
  service: string;
  port: number;
  health: Health;
  /** When it was tried last: the number of that try. */
  turn: number;
}

const host = '127.0.0.1';
/** Between two looks at a replica that is ready; one that is not is looked at more often. */
const checkIntervalMs = 250;
const checkIntervalNotReadyMs = 100;
const checkTimeoutMs = 2000;
const answerTimeoutMs = 60_000;
const closeTimeoutMs = 1000;
const retryAfterSeconds = 1;

let turns = 0;

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

/** The port that `PORT` names, or else the usual one. Throws when that is no port. */
export function readPort(usual: number): number {
  const port = Number(process.env.PORT ?? usual);
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new Error(`PORT is ${process.env.PORT}: set it to a number from 1 to 65535`);
}

/**
 * Listens on 127.0.0.1 and sends each request to one of the replicas of the service that its route names. Rejects when
 * the port cannot be listened on, with an Error of one line.
 */
export async function startGateway(options: {
  port: number;
  routes: Route[];
  replicas: { service: string; port: number }[];
  /** What it does itself, by method and path (`POST /sandbox/reset`); answered with 204 when it is done. */
  commands?: Record<string, () => Promise<void>>;
}): Promise<Gateway> {
  const replicas = options.replicas.map(({ service, port }): Replica => ({ service, port, health: 'down', turn: 0 }));
  const agent = new http.Agent({ keepAlive: true });
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    // While the gateway closes, a connection ends with its answer.
    if (!server.listening) response.shouldKeepAlive = false;
    const route = findRoute(options.routes, request);
    const command = options.commands?.[`${request.method} ${pathOf(request)}`];
    if (!request.headers.host) sendProblem(request, response, 400, 'The request has no Host header.');
    else if (command) void obey(request, response, command);
    else if (!route) sendProblem(request, response, 404, 'The gateway has no route for this host and path.');
    else void dispatch(request, response, inTurn(replicas, route.service), agent);
  };
  const refuse = (request: IncomingMessage, response: ServerResponse, { status, message }: HttpError) => {
    sendProblem(request, response, status, message);
  };
  // The bounds of the services, and their judgement of what is a request: so none means another thing behind it.
  const server = createHttpServer({ serve, reject: refuse });
  server.listen(options.port, host);
  await once(server, 'listening').catch((error: unknown) => {
    const reason =
      (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'taken' : `not to be had (${String(error)})`;
    throw new Error(`port ${options.port} is ${reason}: stop what uses it, or set PORT to another one`, {
      cause: error,
    });
  });
  const stopChecks = new AbortController();
  await Promise.all(replicas.map((replica) => keepChecking(replica, stopChecks.signal)));

  return {
    port: (server.address() as AddressInfo).port,
    ready: () => servicesOf(options.routes).every((service) => inTurn(replicas, service)[0]?.health === 'ready'),
    async close() {
      stopChecks.abort();
      const limit = setTimeout(() => {
        server.closeAllConnections();
      }, closeTimeoutMs);
      await new Promise((resolve) => server.close(resolve));
      clearTimeout(limit);
      agent.destroy();
    },
  };
}

async function obey(request: IncomingMessage, response: ServerResponse, command: () => Promise<void>): Promise<void> {
  try {
    request.resume();
    await command();
    response.writeHead(204).end();
  } catch (error) {
    sendProblem(request, response, 500, String(error));
  }
}

/** Asks a replica how it is. */
export async function checkHealth(port: number): Promise<Health> {
  const signal = AbortSignal.timeout(checkTimeoutMs);
  const answer = await fetch(`http://${host}:${port}/health`, { signal }).catch(() => undefined);
  await answer?.body?.cancel();
  if (!answer) return 'down';
  if (answer.ok) return 'ready';
  return answer.headers.get('connection') === 'close' ? 'draining' : 'listening';
}

/** Looks after a replica until the signal comes. Resolves when it was looked at once. */
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

/** The replicas to try: the healthiest first, and of these who had the last turn last. */
function inTurn(replicas: Replica[], service: string): Replica[] {
  return replicas
    .filter((replica) => replica.service === service && replica.health !== 'down')
    .sort((a, b) => healths.indexOf(a.health) - healths.indexOf(b.health) || a.turn - b.turn);
}

/** Tries one replica after the other until one has answered. */
async function dispatch(
  request: IncomingMessage,
  response: ServerResponse,
  replicas: Replica[],
  agent: http.Agent,
): Promise<void> {
  // Sent twice it does no harm, and there is no body that is gone after the first time.
  const repeatable =
    ['GET', 'HEAD', 'OPTIONS'].includes(request.method ?? '') &&
    request.headers['content-length'] === undefined &&
    request.headers['transfer-encoding'] === undefined;
  let connections = repeatable ? agent : false;
  for (const replica of replicas) {
    replica.turn = ++turns;
    const outcome = await forward(request, response, replica, connections);
    if (outcome === 'answered') return;
    if (outcome === 'lost' && !repeatable) {
      sendProblem(request, response, 502, 'The service was lost before it answered: look whether the change was made.');
      return;
    }
    // A new connection: a kept one may break only because the replica closed it as idle.
    connections = false;
  }
  response.setHeader('Retry-After', retryAfterSeconds);
  sendProblem(request, response, 503, 'No replica of the service can be reached.');
}

/**
 * Sends a request to a replica and its answer to the client. `refused`: the replica got nothing of it. `lost`: it may
 * have got all of it, but there was no answer. An answer that breaks off midway breaks off the client's connection.
 */
function forward(
  request: IncomingMessage,
  response: ServerResponse,
  replica: Replica,
  connections: http.Agent | false,
): Promise<'answered' | 'refused' | 'lost'> {
  const upstream = http.request({
    ...{ host, port: replica.port, agent: connections, timeout: answerTimeoutMs },
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
        resolve('answered');
        return;
      }
      if (refusal) {
        sendProblem(request, response, refusal.status, refusal.message);
        resolve('answered');
        return;
      }
      const refused = error.code === 'ECONNREFUSED';
      if (refused || !upstream.reusedSocket) replica.health = 'down';
      resolve(refused ? 'refused' : 'lost');
    });
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
      answer.pipe(response);
      answer.on('close', () => {
        if (!answer.complete) response.destroy();
        // The rest of a body that the replica did not want to read.
        request.unpipe(upstream).resume();
        resolve('answered');
      });
    });
  });
}

/** A body stays unread until there is a replica to take it, so that a refused request can go to the next one. */
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

/** What a client claims about other hops is dropped: this is the first one. */
function forwardedHeaders({ rawHeaders, headers, socket }: IncomingMessage): string[] {
  return [
    ...endToEnd(rawHeaders, /^(x-forwarded-.*|forwarded|expect)$/i),
    ...['X-Forwarded-For', socket.remoteAddress ?? ''],
    ...['X-Forwarded-Proto', 'http'],
    ...['X-Forwarded-Host', headers.host ?? ''],
  ];
}

/**
 * Headers without those that are for one hop only (RFC 9110, section 7.6.1). The framing of the body stays as it is, even
 * where `Connection` names it: without it, the body would be read as the next request.
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

/** The parts of a Kubernetes Ingress (networking.k8s.io/v1) that the gateway reads. */
interface Ingress {
  spec: {
    rules: {
      host: string;
      http: { paths: { path: string; pathType: string; backend: { service: { name: string } } }[] };
    }[];
  };
}
