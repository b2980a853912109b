import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import http, { type IncomingHttpHeaders, type RequestListener, type RequestOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { converse, dial, type RawAnswer } from '@task-manager/testing/raw-http';
import { readRoutes, startGateway, type Gateway } from '../src/gateway.ts';

describe('readRoutes', () => {
  it('reads service, host and path of each rule, the longest path first', () => {
    expect(readRoutes(ingress('Prefix'))).toEqual([
      { host: 'task-user.local', path: '/user', service: 'user-service' },
      { host: 'task-user.local', path: '', service: 'task-service' },
    ]);
  });

  it('refuses a path of a type that it does not know', () => {
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
    'takes the host %s, and passes it on as it is',
    async (host) => {
      const gateway = await gatewayOf({ 'task-service': [(req, res) => res.end(req.headers.host)] });
      expect((await ask(gateway, { headers: { host } })).body).toBe(host);
    },
  );

  it('answers 404 for another host', async () => {
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

describe('replicas', () => {
  it('share the requests evenly', async () => {
    const gateway = await gatewayOf({ 'task-service': [named('one'), named('two'), named('three')] });
    const answers = await many(9, () => ask(gateway));
    expect(answers.filter(({ body }) => body === 'one')).toHaveLength(3);
    expect(answers.filter(({ body }) => body === 'two')).toHaveLength(3);
  });

  it('skips a replica that is draining', async () => {
    const gateway = await gatewayOf({ 'task-service': [notReady('draining'), named('ready')] });
    const answers = await many(4, () => ask(gateway));
    expect(answers.map(({ body }) => body)).toEqual(['ready', 'ready', 'ready', 'ready']);
  });

  it('asks one that lacks its database rather than one that is draining, and soon gone', async () => {
    const draining = notReady('draining', { Connection: 'close' });
    const gateway = await gatewayOf({ 'task-service': [draining, notReady('no database')] });
    const answers = await many(3, () => ask(gateway));
    expect(answers.map(({ body }) => body)).toEqual(['no database', 'no database', 'no database']);
  });

  it('skips a replica that is down, and comes back to it', async () => {
    const [one, two] = [await serve(named('one')), await serve(named('two'))];
    const gateway = await gatewayOn({ 'task-service': [one.port, two.port] });
    await one.stop();
    expect((await many(4, () => ask(gateway))).map(({ body }) => body)).toEqual(['two', 'two', 'two', 'two']);
    await serve(named('one'), one.port);
    await until(async () => (await ask(gateway)).body === 'one');
  });

  it('still ask a replica that only listens when none is ready, for its own problem', async () => {
    const gateway = await gatewayOf({ 'task-service': [notReady('no database')] });
    expect(await ask(gateway)).toMatchObject({ status: 503, body: 'no database' });
  });

  it('answers 503 with Retry-After when none listens', async () => {
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

describe('a request that a replica does not answer', () => {
  it.each(['GET', 'HEAD', 'OPTIONS'])('goes to the next replica when it is a %s', async (method) => {
    const gateway = await gatewayOf({ 'task-service': [dying(), named('alive')] });
    const answers = await many(4, () => ask(gateway, { method }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  it('is not sent again when it is a POST: it may have been done', async () => {
    const bodies: string[] = [];
    const gateway = await gatewayOf({ 'task-service': [dying(bodies), dying(bodies)] });
    const answer = await ask(gateway, { method: 'POST', path: '/tasks' }, 'once');
    expect(problemIn(answer)).toMatchObject({ status: 502, instance: '/tasks' });
    expect(bodies).toEqual(['once']);
  });

  it('goes to the next replica with its body when the connection was refused', async () => {
    const [one, two] = [await serve(named('one')), await serve(echo)];
    const gateway = await gatewayOn({ 'task-service': [one.port, two.port] });
    await one.stop();
    expect((await ask(gateway, { method: 'POST' }, 'the body')).body).toBe('the body');
  });

  it('is no sign against a replica when the client went away', async () => {
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

describe('messages', () => {
  it('pass as they are: method, target, body, status, headers', async () => {
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

  it('of a HEAD keep the length of the body that is not there', async () => {
    const gateway = await gatewayOf({
      'task-service': [(_req, res) => res.writeHead(200, { 'Content-Length': 42 }).end()],
    });
    expect(await ask(gateway, { method: 'HEAD' })).toMatchObject({
      status: 200,
      headers: { 'content-length': '42' },
      body: '',
    });
  });

  it('say where they came from, whatever the client claims', async () => {
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

  it('break off for the client when they break off at the replica', async () => {
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
    ['have no Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['have a length and chunks', head('Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
    ['have two lengths', head('Content-Length: 1', 'Content-Length: 2'), 400],
    ['have another last encoding than chunked', head('Transfer-Encoding: chunked, identity'), 400],
    ['have bare line feeds', head().replaceAll('\r\n', '\n'), 400],
    ['have a folded header', head('X-A: b', ' c'), 400],
    ['have a space before a colon', head('X-A : b'), 400],
    ['have a broken chunk', `${head('Transfer-Encoding: chunked')}zz\r\n`, 400],
    ['are nonsense', 'NONSENSE\r\n\r\n', 400],
    ['have too long headers', head(`X-Long: ${'x'.repeat(20_000)}`), 431],
    ['have another expectation than 100-continue', head('Expect: milk', 'Connection: close'), 417],
  ])('that %s are refused with a problem, and never reach a replica', async (_what, message, status) => {
    const asked: string[] = [];
    const gateway = await gatewayOf({ 'task-service': [told(asked)] });
    const answers = await converse(urlOf(gateway), message.replace('GET', 'POST') + head('X-Smuggled: yes'));
    expect(answers.map((each) => each.status)).toContain(status);
    expect(problemIn(answers[0] as RawAnswer)).toMatchObject({ status });
    // A broken chunk is found when what comes before it is on its way.
    expect(asked.filter((each) => !each.includes('"transfer-encoding":"chunked"'))).toEqual([]);
  });

  it('are one request behind it as before it, though Connection names what frames them', async () => {
    for (const method of ['GET', 'POST', 'DELETE']) {
      for (const framing of ['Content-Length', 'Transfer-Encoding']) {
        const asked: string[] = [];
        const gateway = await gatewayOf({ 'task-service': [told(asked)] });
        const hidden = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';
        const [value, body] =
          framing === 'Content-Length'
            ? [hidden.length, hidden]
            : ['chunked', `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`];
        const lines = [`Connection: close, ${framing}, Host`, `${framing}: ${value}`];
        await converse(urlOf(gateway), head(...lines).replace('GET', method) + body);
        expect(asked.map((each) => (JSON.parse(each) as { body: string }).body)).toEqual([hidden]);
      }
    }
  });

  it('wait for 100-continue until a replica takes their body', async () => {
    const gateway = await gatewayOf({ 'task-service': [echo] });
    const socket = await dial(urlOf(gateway));
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
  it('are let go within 8 s, with 408 if they began a request', async () => {
    const gateway = await gatewayOf({ 'task-service': [told([])] });
    const body = head('Content-Length: 10').replace('GET', 'POST');
    const begin = performance.now();
    const kinds = ['', head().slice(0, -2), `${body}x`].map(async (bytes) =>
      Promise.all(Array.from({ length: 100 }, () => converse(urlOf(gateway), bytes))),
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
  it('lets a request be answered that has begun, and accepts no other', async () => {
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

/** A gateway before replicas that answer `/health` with 200 and everything else as these do. */
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

/** Reads the request and ends the connection. */
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

/** Answers everything, its `/health` too, with 503. */
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

/** A request without a body, with these lines. */
function head(...lines: string[]): string {
  return `${['GET /tasks HTTP/1.1', 'Host: localhost', ...lines].join('\r\n')}\r\n\r\n`;
}

/** Answers when it has read the whole request, and notes it. */
function told(asked: string[]): RequestListener {
  return (req, res) => {
    let body = '';
    req.on('data', (data: Buffer) => (body += data.toString()));
    req.on('end', () => {
      asked.push(JSON.stringify({ url: req.url, headers: req.headers, body }));
      res.end('told');
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

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`still not so after 10 s: ${String(condition)}`);
    await sleep(10);
  }
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
