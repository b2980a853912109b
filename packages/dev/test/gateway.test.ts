import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import http, { type IncomingHttpHeaders, type RequestListener, type RequestOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { text } from 'node:stream/consumers';
import { sendRaw, openSocket, type RawResponse } from '@task-manager/testing/raw-http';
import { until } from '@task-manager/testing/until';
import { readRoutes, startGateway, type Gateway } from '../src/gateway.ts';

describe('readRoutes', () => {
  it('reads service, host and path of each rule, the longest path first', () => {
    expect(readRoutes(ingress('Prefix'))).toEqual([
      { host: 'task-user.local', path: '/user', service: 'user-service' },
      { host: 'task-user.local', path: '', service: 'task-service' },
    ]);
  });

  it('throws when a path type is not Prefix', () => {
    expect(() => readRoutes(ingress('Exact'))).toThrow('only paths of type Prefix, not Exact');
  });
});

describe('routing', () => {
  it.each([
    ['/', 'task-service'],
    ['/tasks?path=/user', 'task-service'],
    ['/user', 'user-service'],
    ['/user/', 'user-service'],
    ['/user?x', 'user-service'],
    ['/user/users/1', 'user-service'],
    ['/users', 'task-service'],
    ['http://task-user.local/user/users', 'user-service'],
  ])('sends %s to the %s', async (path, service) => {
    const gateway = await gatewayOf({
      'task-service': [named('task-service')],
      'user-service': [named('user-service')],
    });
    expect((await ask(gateway, { path })).body).toBe(service);
  });

  it.each(['task-user.local', 'Task-User.local:8080', 'localhost', 'localhost:8080', '127.0.0.1:1', '[::1]:8080'])(
    'accepts the host %s and forwards it unchanged',
    async (host) => {
      const gateway = await gatewayOf({ 'task-service': [(req, res) => res.end(req.headers.host)] });
      expect((await ask(gateway, { headers: { host } })).body).toBe(host);
    },
  );

  // A container may have no IPv6.
  const hasIPv6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'));
  const withIPv6 = hasIPv6 ? it : it.skip;
  withIPv6('accepts connections to ::1', async () => {
    const gateway = await gatewayOf({ 'task-service': [named('task-service')] });
    expect(await (await fetch(`http://[::1]:${gateway.port}/`)).text()).toBe('task-service');
  });

  withIPv6('throws when another program has the port on ::1', async () => {
    const other = http.createServer().listen(0, '::1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await expect(startGateway({ port, routes: [], replicas: [] })).rejects.toThrow(`port ${port} is taken: stop what`);
    other.close();
    await once(other, 'close');
    await (await startGateway({ port, routes: [], replicas: [] })).close();
  });

  it('returns 404 when the host is unknown', async () => {
    const gateway = await gatewayOf({ 'task-service': [named('task-service')] });
    const answer = await ask(gateway, { path: '/tasks?x', headers: { host: 'example.com' } });
    expect(problemIn(answer)).toMatchObject({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      instance: '/tasks',
    });
  });
});

describe('load balancing', () => {
  it('distributes requests evenly', async () => {
    const gateway = await gatewayOf({ 'task-service': [named('one'), named('two'), named('three')] });
    const answers = await many(9, () => ask(gateway));
    expect(answers.filter(({ body }) => body === 'one')).toHaveLength(3);
    expect(answers.filter(({ body }) => body === 'two')).toHaveLength(3);
  });

  it('skips a replica when it is draining', async () => {
    const gateway = await gatewayOf({ 'task-service': [notReady('draining'), named('ready')] });
    const answers = await many(4, () => ask(gateway));
    expect(answers.map(({ body }) => body)).toEqual(['ready', 'ready', 'ready', 'ready']);
  });

  it('prefers a replica without a database to a draining one', async () => {
    const draining = notReady('draining', { Connection: 'close' });
    const gateway = await gatewayOf({ 'task-service': [draining, notReady('no database')] });
    const answers = await many(3, () => ask(gateway));
    expect(answers.map(({ body }) => body)).toEqual(['no database', 'no database', 'no database']);
  });

  it('skips a replica while it is down', async () => {
    const [one, two] = [await serve(named('one')), await serve(named('two'))];
    const gateway = await gatewayOn({ 'task-service': [one.port, two.port] });
    await one.stop();
    expect((await many(4, () => ask(gateway))).map(({ body }) => body)).toEqual(['two', 'two', 'two', 'two']);
    await serve(named('one'), one.port);
    await until(async () => (await ask(gateway)).body === 'one');
  });

  it('forwards to a listening replica when none is ready', async () => {
    const gateway = await gatewayOf({ 'task-service': [notReady('no database')] });
    expect(await ask(gateway)).toMatchObject({ status: 503, body: 'no database' });
  });

  it('returns 503 with Retry-After when no replica listens', async () => {
    const one = await serve(named('one'));
    const gateway = await gatewayOn({ 'task-service': [one.port] });
    await one.stop();
    for (const method of ['GET', 'POST', 'GET']) {
      const answer = await ask(gateway, { method, path: '/tasks' });
      expect(problemIn(answer)).toMatchObject({ status: 503, instance: '/tasks' });
      expect(answer.headers['retry-after']).toBe('1');
    }
  });
});

describe('retries', () => {
  it.each(['GET', 'HEAD', 'OPTIONS'])('sends a %s to the next replica when the connection is lost', async (method) => {
    const gateway = await gatewayOf({ 'task-service': [dying(), named('alive')] });
    const answers = await many(4, () => ask(gateway, { method }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  it('returns 502 without a retry when the connection of a POST is lost', async () => {
    const bodies: string[] = [];
    const gateway = await gatewayOf({ 'task-service': [dying(bodies), dying(bodies)] });
    const answer = await ask(gateway, { method: 'POST', path: '/tasks' }, 'once');
    expect(problemIn(answer)).toMatchObject({ status: 502, instance: '/tasks' });
    expect(bodies).toEqual(['once']);
  });

  it('sends a POST with its body to the next replica when the connection is refused', async () => {
    const [one, two] = [await serve(named('one')), await serve(echo)];
    const gateway = await gatewayOn({ 'task-service': [one.port, two.port] });
    await one.stop();
    expect((await ask(gateway, { method: 'POST' }, 'the body')).body).toBe('the body');
  });

  it('keeps using a replica when the client disconnects', async () => {
    let asked = 0;
    const gateway = await gatewayOf({ 'task-service': [(req, res) => (asked++ === 0 ? undefined : res.end('alive'))] });
    const request = http
      .request({ port: gateway.port, host: '127.0.0.1', method: 'POST' })
      .on('error', () => undefined);
    request.end();
    await until(async () => asked === 1);
    request.destroy();
    expect((await ask(gateway, { method: 'POST' })).body).toBe('alive');
  });
});

describe('forwarding', () => {
  it('forwards method, target, body, status and headers unchanged', async () => {
    const gateway = await gatewayOf({
      'task-service': [
        (req, res) => {
          res.writeHead(207, 'Fine', ['X-Twice', '1', 'X-Twice', '2']);
          res.write(`${req.method} ${req.url} `);
          req.pipe(res);
        },
      ],
    });
    const body = 'x'.repeat(3_000_000);
    const answer = await ask(gateway, { method: 'PUT', path: '/tasks/%41?a=%20' }, body);
    expect(answer).toMatchObject({ status: 207, message: 'Fine', headers: { 'x-twice': '1, 2' } });
    expect(answer.body === `PUT /tasks/%41?a=%20 ${body}`).toBe(true);
  });

  it('keeps the Content-Length of a HEAD response', async () => {
    const gateway = await gatewayOf({
      'task-service': [(_req, res) => res.writeHead(200, { 'Content-Length': 42 }).end()],
    });
    expect(await ask(gateway, { method: 'HEAD' })).toMatchObject({
      status: 200,
      headers: { 'content-length': '42' },
      body: '',
    });
  });

  it('replaces the forwarding headers of the client', async () => {
    const gateway = await gatewayOf({ 'task-service': [(req, res) => res.end(JSON.stringify(req.headers))] });
    const forged = {
      host: 'task-user.local',
      'x-forwarded-for': '1.2.3.4',
      'X-Forwarded-Proto': 'https',
      connection: 'x-secret',
      'x-secret': 'mine',
    };
    const seen = JSON.parse((await ask(gateway, { headers: forged })).body) as Record<string, string>;
    expect(seen).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'task-user.local',
    });
    expect(seen).not.toHaveProperty('x-secret');
  });

  it('sends no chunks to a client of HTTP/1.0', async () => {
    const gateway = await gatewayOf({ 'task-service': [(_req, res) => res.write('no ') && res.end('length')] });
    const socket = await openSocket(urlOf(gateway));
    socket.write('GET / HTTP/1.0\r\nHost: localhost\r\n\r\n');
    const response = await text(socket);
    expect(response).not.toMatch(/^transfer-encoding:/im);
    expect(response).toMatch(/\r\n\r\nno length$/);
  });

  it('aborts the response when the replica aborts it', async () => {
    const gateway = await gatewayOf({
      'task-service': [
        (req, res) => {
          res.writeHead(200, { 'Content-Length': 100 }).write('half', () => req.socket.destroy());
        },
      ],
    });
    await expect(ask(gateway)).rejects.toThrow('aborted');
  });

  it.each([
    ['without a Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['with a length and chunks', head('Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
    ['with two lengths', head('Content-Length: 1', 'Content-Length: 2'), 400],
    ['with a last encoding other than chunked', head('Transfer-Encoding: chunked, identity'), 400],
    ['with bare line feeds', head().replaceAll('\r\n', '\n'), 400],
    ['with a folded header', head('X-A: b', ' c'), 400],
    ['with a space before a colon', head('X-A : b'), 400],
    ['with an invalid chunk', `${head('Transfer-Encoding: chunked')}zz\r\n`, 400],
    ['that is not HTTP', 'NONSENSE\r\n\r\n', 400],
    ['with too long headers', head(`X-Long: ${'x'.repeat(20_000)}`), 431],
    ['with an expectation other than 100-continue', head('Expect: milk', 'Connection: close'), 417],
  ])('rejects a request %s with a problem before it reaches a replica', async (_what, message, status) => {
    const received: string[] = [];
    const gateway = await gatewayOf({ 'task-service': [recording(received)] });
    const answers = await sendRaw(urlOf(gateway), message.replace('GET', 'POST') + head('X-Smuggled: yes'));
    expect(answers.map((each) => each.status)).toContain(status);
    expect(problemIn(answers[0] as RawResponse)).toMatchObject({ status });
    // An invalid chunk is detected after the head was forwarded.
    expect(received.filter((each) => !each.includes('"transfer-encoding":"chunked"'))).toEqual([]);
  });

  it('forwards one request when Connection names its framing headers', async () => {
    for (const method of ['GET', 'POST', 'DELETE']) {
      for (const framing of ['Content-Length', 'Transfer-Encoding']) {
        const received: string[] = [];
        const gateway = await gatewayOf({ 'task-service': [recording(received)] });
        const hidden = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';
        const [value, body] =
          framing === 'Content-Length'
            ? [hidden.length, hidden]
            : ['chunked', `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`];
        const lines = [`Connection: close, ${framing}, Host`, `${framing}: ${value}`];
        await sendRaw(urlOf(gateway), head(...lines).replace('GET', method) + body);
        expect(received.map((each) => (JSON.parse(each) as { body: string }).body)).toEqual([hidden]);
      }
    }
  });

  it('sends 100-continue when a replica is connected', async () => {
    const gateway = await gatewayOf({ 'task-service': [echo] });
    const socket = await openSocket(urlOf(gateway));
    socket.write(head('Expect: 100-continue', 'Content-Length: 4').replace('GET', 'POST'));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write('milk');
    const [second] = (await once(socket, 'data')) as [Buffer];
    expect(second.toString()).toMatch(/^HTTP\/1.1 200 OK[^]*milk/);
    socket.destroy();
  });
});

describe('slow clients', () => {
  it('are disconnected within 8 s, with 408 when they began a request', async () => {
    const gateway = await gatewayOf({ 'task-service': [recording([])] });
    const body = head('Content-Length: 10').replace('GET', 'POST');
    const begin = performance.now();
    const kinds = ['', head().slice(0, -2), `${body}x`].map(async (bytes) =>
      Promise.all(Array.from({ length: 100 }, () => sendRaw(urlOf(gateway), bytes))),
    );
    const [silent, half, halfBody] = await Promise.all(kinds);
    expect(performance.now() - begin).toBeLessThan(8000);
    expect(silent?.flat()).toEqual([]);
    for (const answers of [half, halfBody]) {
      expect(answers?.map((each) => each.map(({ status }) => status))).toEqual(
        Array.from({ length: 100 }, () => [408]),
      );
    }
    expect((await ask(gateway)).status).toBe(200);
  });
});

describe('close', () => {
  it('finishes pending requests and accepts no others', async () => {
    let finish: () => void = () => undefined;
    const gateway = await gatewayOf({ 'task-service': [(_req, res) => (finish = () => res.end('finished'))] });
    const begun = finish;
    const answer = ask(gateway);
    await until(async () => finish !== begun);
    const closed = gateway.close();
    await expect(ask(gateway)).rejects.toThrow('ECONNREFUSED');
    finish();
    expect((await answer).body).toBe('finished');
    await closed;
  });
});

interface Answer {
  status: number | undefined;
  message: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

/** A gateway in front of replicas that return 200 for `/health` and pass everything else to these listeners. */
async function gatewayOf(services: Record<string, RequestListener[]>): Promise<Gateway> {
  const ports: Record<string, number[]> = {};
  for (const [service, listeners] of Object.entries(services)) {
    ports[service] = [];
    for (const listener of listeners) ports[service].push((await serve(listener)).port);
  }
  return await gatewayOn(ports);
}

async function gatewayOn(services: Record<string, number[]>): Promise<Gateway> {
  const replicas = Object.entries(services).flatMap(([service, ports]) => ports.map((port) => ({ service, port })));
  const gateway = await startGateway({ port: 0, routes: readRoutes(ingress('Prefix')), replicas });
  open.unshift(gateway);
  return gateway;
}

async function serve(listener: RequestListener, port = 0): Promise<{ port: number; stop(): Promise<unknown> }> {
  const server = http.createServer((req, res) => {
    if (req.url === '/health' && !isNotReady.has(listener)) res.end();
    else listener(req, res);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const stop = async () => {
    const closed = once(server, 'close');
    server.close().closeAllConnections();
    await closed;
  };
  open.push({ close: () => (server.listening ? stop() : undefined) });
  return { port: (server.address() as AddressInfo).port, stop };
}

const named =
  (name: string): RequestListener =>
  (_req, res) =>
    res.end(name);

const echo: RequestListener = (req, res) => req.pipe(res);

/** Reads the request and destroys the connection. */
const dying =
  (bodies: string[] = []): RequestListener =>
  (req) => {
    let body = '';
    req.on('data', (data: Buffer) => (body += data.toString()));
    req.on('end', () => {
      bodies.push(body);
      req.socket.destroy();
    });
  };

const isNotReady = new Set<RequestListener>();

/** Returns 503 for everything, including `/health`. */
function notReady(reason: string, headers: http.OutgoingHttpHeaders = {}): RequestListener {
  const listener: RequestListener = (_req, res) => res.writeHead(503, headers).end(reason);
  isNotReady.add(listener);
  return listener;
}

async function ask({ port }: Gateway, options: RequestOptions = {}, body?: string): Promise<Answer> {
  const request = http.request({ host: '127.0.0.1', port, agent: false, ...options });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const part of response) text += String(part);
  return { status: response.statusCode, message: response.statusMessage, headers: response.headers, body: text };
}

/** The head of a request, with these lines. */
function head(...lines: string[]): string {
  return `${['GET /tasks HTTP/1.1', 'Host: localhost', ...lines].join('\r\n')}\r\n\r\n`;
}

/** Records each request and responds after reading it. */
function recording(received: string[]): RequestListener {
  return (req, res) => {
    let body = '';
    req.on('data', (data: Buffer) => (body += data.toString()));
    req.on('end', () => {
      received.push(JSON.stringify({ url: req.url, headers: req.headers, body }));
      res.end('received');
    });
  };
}

function urlOf({ port }: Gateway): string {
  return `http://127.0.0.1:${port}`;
}

function problemIn({ headers, body }: Pick<Answer, 'headers' | 'body'>): unknown {
  expect(headers['content-type']).toBe('application/problem+json');
  return JSON.parse(body);
}

async function many<T>(count: number, each: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < count; i++) results.push(await each());
  return results;
}

function ingress(pathType: string): string {
  const path = (path: string, service: string) => `
          - path: ${path}
            pathType: ${pathType}
            backend: { service: { name: ${service}, port: { name: http } } }`;
  return `
spec:
  rules:
    - host: task-user.local
      http:
        paths:${path('/', 'task-service')}${path('/user', 'user-service')}`;
}
