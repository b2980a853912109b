/** The service as a process: startup, shutdown, logs and metrics. */
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { connectionOf } from '@task-manager/runtime/postgres/database';
import type { Config } from '@task-manager/runtime/config';
import pg from 'pg';
import { newEnvironment } from '@task-manager/testing/harness';
import { freePort, spawnService, untilStatus, type ServiceProcess } from '@task-manager/testing/processes';
import { until } from '@task-manager/testing/until';
import { unknownId } from '@task-manager/testing/subject';

let environment: Config;
let running: ServiceProcess[] = [];
beforeEach(async () => {
  environment = await newEnvironment('task-service');
});
afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ exited }) => exited));
  running = [];
});

async function run(overrides: Partial<Record<keyof Config, string>> = {}): Promise<ServiceProcess> {
  const started = await spawnService('task-service', environment, overrides);
  running.push(started);
  return started;
}

async function createTask({ url }: ServiceProcess): Promise<Response> {
  const headers = { 'Content-Type': 'application/json' };
  return fetch(`${url}/tasks`, { method: 'POST', headers, body: '{"title":"Buy milk"}' });
}

/** Forwards connections at `port` to the database; `hang` drops every byte and keeps the connections open. */
async function forward(port: number, to: number): Promise<{ close: () => void; hang: () => void }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const upstream = connect(to, '127.0.0.1');
    sockets.push(socket, upstream);
    socket.pipe(upstream).pipe(socket);
    for (const end of [socket, upstream]) {
      end.on('error', () => {
        socket.destroy();
        upstream.destroy();
      });
    }
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    close: () => server.close(),
    hang() {
      server.close();
      for (const socket of sockets) socket.unpipe().pause();
    },
  };
}

describe('startup', () => {
  it('is live but not ready until the database is reachable', async () => {
    const port = await freePort();
    const service = await run({ POSTGRES_PORT: String(port) });
    const health = await untilStatus(503, `${service.url}/health`);
    expect(health.headers.get('Retry-After')).toBe('1');
    expect(await health.json()).toMatchObject({ status: 503, detail: expect.stringMatching(/starting|reached/) });
    expect((await fetch(`${service.url}/health/live`)).status).toBe(200);
    expect((await createTask(service)).status).toBe(503);

    const database = await forward(port, environment.POSTGRES_PORT);
    await untilStatus(200, `${service.url}/health`);
    expect((await createTask(service)).status).toBe(201);

    service.child.kill('SIGKILL');
    await service.exited;
    database.close();
  });

  it('migrates the database once when several replicas start at once', async () => {
    const replicas = await Promise.all([run(), run(), run()]);
    await Promise.all(replicas.map(({ url }) => untilStatus(200, `${url}/health`)));
    for (const replica of replicas) {
      expect((await createTask(replica)).status).toBe(201);
      const warnings = replica.output().match(/^.*"level":[456]0.*$/gm) ?? [];
      // No user service runs in this test.
      expect(warnings.filter((line) => !line.includes('cannot follow the users'))).toEqual([]);
    }
  });

  it('serves after a rollback when the newer version made no breaking migration', async () => {
    const first = await run();
    await untilStatus(200, `${first.url}/health`);
    await recordMigration('0099-add-estimate');
    const second = await run();
    await untilStatus(200, `${second.url}/health`);
    expect((await createTask(second)).status).toBe(201);
    expect((await createTask(first)).status).toBe(201);
  });

  it('returns 503, logs the reason once and recovers when a newer version made a breaking migration', async () => {
    const early = await run();
    await untilStatus(200, `${early.url}/health`);
    await recordMigration('0099-drop-labels.breaking');
    const late = await run();
    for (const service of [early, late]) {
      await until(async () => {
        // The fetch fails until the service listens.
        const health = await fetch(`${service.url}/health`).catch(() => undefined);
        return (await health?.text())?.includes('The database belongs to a newer version of the service.') ?? false;
      });
      expect((await createTask(service)).status).toBe(503);
      expect((await fetch(`${service.url}/health/live`)).status).toBe(200);
    }
    await sleep(600); // enough for several more checks
    for (const service of [early, late]) {
      const lines = service.output().match(/^.*0099-drop-labels.breaking: run that version.*$/gm) ?? [];
      expect([lines.length, service.child.exitCode]).toEqual([1, null]);
    }
    await sql(`delete from task_service.migrations where name like '0099%'`);
    for (const { url } of [early, late]) await untilStatus(200, `${url}/health`);
    expect((await createTask(late)).status).toBe(201);
  });

  async function recordMigration(name: string): Promise<void> {
    await sql(`insert into task_service.migrations (name, run_on) values ('${name}', now())`);
  }

  async function sql(statement: string): Promise<void> {
    const client = new pg.Client(connectionOf(environment));
    await client.connect();
    await client.query(statement).finally(() => client.end());
  }

  it('keeps idle connections open for 95 s, longer than the proxies in front of it', async () => {
    const { url } = await run();
    const live = await untilStatus(200, `${url}/health/live`);
    expect(live.headers.get('Keep-Alive')).toBe('timeout=95');
  });

  it('names the variable in one line and exits with 1 when its value is invalid', async () => {
    for (const [name, value, line] of [
      ['RATE_LIMIT', '1.5', /^RATE_LIMIT is invalid: "1.5" is not an integer between 0 and 1000000000 .*\n$/],
      [
        'USER_SERVICE_URL',
        'users',
        /^USER_SERVICE_URL is invalid: it must be a URL such as http:\/\/user-service, .*\n$/,
      ],
      [
        'USER_SERVICE_URL',
        'http://me:secret@users',
        /^USER_SERVICE_URL is invalid: it must be a URL such as (?!.*secret).*\n$/,
      ],
    ] as const) {
      const service = await run({ [name]: value });
      expect(await service.exited).toBe(1);
      expect(service.output()).toMatch(line);
    }
  });

  it('logs one line and exits with 1 when it cannot listen', async () => {
    const first = await run();
    await untilStatus(200, `${first.url}/health`);
    const second = await run({ PORT: new URL(first.url).port });
    expect(await second.exited).toBe(1);
    expect(second.output()).toMatch(/^PORT \d+ is in use: .*\n$/);
    const third = await run({ LISTEN_ADDRESS: '192.0.2.1' });
    expect(await third.exited).toBe(1);
    expect(third.output()).toBe('LISTEN_ADDRESS 192.0.2.1 is not an address of this machine\n');
  });

  it('listens on LISTEN_ADDRESS only, by default on every address', async () => {
    // All of 127.0.0.0/8 is this machine; macOS has only 127.0.0.1.
    const other = process.platform === 'linux' ? '127.0.0.2' : '[::1]';
    for (const [address, expected] of [
      ['127.0.0.1', undefined],
      ['', 200],
    ] as const) {
      const { url, metricsUrl } = await run({ LISTEN_ADDRESS: address });
      await untilStatus(200, `${url}/health`);
      for (const path of [`${url}/health`, `${metricsUrl}/metrics`]) {
        const response = await fetch(path.replace('127.0.0.1', other)).catch(() => undefined);
        expect(response?.status).toBe(expected);
      }
    }
  });
});

describe('shutdown', () => {
  it('finishes requests in progress, is not ready meanwhile and exits with 0 when it receives SIGTERM', async () => {
    const service = await run({ SHUTDOWN_DELAY_MS: '300' });
    await untilStatus(200, `${service.url}/health`);
    const slow = connect(Number(new URL(service.url).port), '127.0.0.1');
    let response = '';
    slow.on('data', (data) => (response += data.toString()));
    slow.write(
      'POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"title"',
    );
    await untilStatus(200, `${service.url}/health`);

    service.child.kill('SIGTERM');
    const health = await untilStatus(503, `${service.url}/health`);
    expect(await health.json()).toMatchObject({ detail: 'The service is shutting down.' });
    // The gateway distinguishes it by this header from a replica without its database.
    expect(health.headers.get('connection')).toBe('close');
    await sleep(500); // past the delay: now only the request in progress keeps it alive
    slow.write(':"Buy milk"}');
    expect(await service.exited).toBe(0);
    expect(response).toMatch(/^HTTP\/1\.1 201 /);
    expect(service.output()).toMatch(/"msg":"stopped"\}\n$/);
  });

  it('exits at once when its only connections are unused', async () => {
    const service = await run();
    await untilStatus(200, `${service.url}/health`);
    await once(connect(Number(new URL(service.url).port), '127.0.0.1'), 'connect');
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(0);
  });

  it('exits when the database does not respond', async () => {
    const port = await freePort();
    const database = await forward(port, environment.POSTGRES_PORT);
    const service = await run({ POSTGRES_PORT: String(port) });
    await untilStatus(200, `${service.url}/health`);
    expect((await createTask(service)).status).toBe(201);
    database.hang();
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(0);
  });

  it('breaks no request when it shuts down under load', async () => {
    const service = await run({ SHUTDOWN_DELAY_MS: '300' });
    await untilStatus(200, `${service.url}/health`);
    let responses = 0;
    const clients = Array.from({ length: 20 }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      // As a proxy does, until a response closes the connection.
      for (let isOpen = true; isOpen; responses++) isOpen = (await post(service, agent)) === 'keep-alive';
      agent.destroy();
    });
    await until(() => responses > 200);
    service.child.kill('SIGTERM');
    await Promise.all(clients);
    expect(await service.exited).toBe(0);
  });

  /** Returns the Connection header of the response; rejects when the connection breaks or the task is not created. */
  async function post({ url }: ServiceProcess, agent: Agent): Promise<string | undefined> {
    const headers = { 'Content-Type': 'application/json' };
    const req = request(`${url}/tasks`, { method: 'POST', agent, headers });
    req.end('{"title":"Buy milk"}');
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    await text(res);
    expect(res.statusCode).toBe(201);
    return res.headers.connection;
  }

  it('waits up to SHUTDOWN_LIMIT_MS for requests in progress and logs how many remain', async () => {
    const service = await run({ SHUTDOWN_LIMIT_MS: '500' });
    await untilStatus(200, `${service.url}/health`);
    await beginRequest(service);
    const stoppedAt = performance.now();
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(0);
    expect(performance.now() - stoppedAt).toBeGreaterThan(490);
    expect(performance.now() - stoppedAt).toBeLessThan(3000);
    expect(service.output()).toContain('"connections":1,"msg":"stopping with requests in progress"');
  });

  it('exits with 1 at once when a second SIGTERM arrives while requests are in progress', async () => {
    const service = await run();
    await untilStatus(200, `${service.url}/health`);
    await beginRequest(service);
    service.child.kill('SIGTERM');
    await until(() => service.output().includes('"stopping"'));
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(1);
  });

  /** Sends only the first part of a request. */
  async function beginRequest({ url }: ServiceProcess): Promise<void> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('POST /tasks HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{');
    // A response to a later request proves that this one has begun.
    await untilStatus(200, `${url}/health`);
  }

  it('exits with 1 at once when a second SIGTERM arrives during the shutdown delay', async () => {
    const service = await run({ SHUTDOWN_DELAY_MS: '60000' });
    await untilStatus(200, `${service.url}/health`);
    service.child.kill('SIGTERM');
    await untilStatus(503, `${service.url}/health`);
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(1);
  });
});

describe('logs and metrics', () => {
  it('logs one JSON line for each request', async () => {
    const service = await run();
    await untilStatus(200, `${service.url}/health`);
    await fetch(`${service.url}/tasks`, { headers: { 'X-Request-Id': 'request-42' } });
    service.child.kill('SIGTERM');
    await service.exited;
    const lines = service.output().trim().split('\n');
    const [line, ...others] = lines.map((each) => JSON.parse(each) as object).filter((each) => 'operation' in each);
    expect(others).toEqual([]);
    expect(line).toMatchObject({
      service: 'task-service',
      requestId: 'request-42',
      operation: 'listTasks',
      status: 200,
      durationMs: expect.any(Number),
    });
  });

  it('logs no secret of its environment and no credential, body or query of a request', async () => {
    const service = await run({ LOG_LEVEL: 'trace' });
    const unauthorized = await run({ LOG_LEVEL: 'trace', POSTGRES_PASSWORD: 'secret-password' });
    await untilStatus(200, `${service.url}/health`);
    await until(() => unauthorized.output().includes('password authentication failed'));
    const headers = {
      Authorization: 'Bearer secret-token',
      Cookie: 'session=secret-cookie',
      'Idempotency-Key': 'secret-key',
      'Content-Type': 'application/json',
    };
    const bodies = [`{"title":"secret-title","assigneeId":"${unknownId}"}`, '{"secret-field":1}'];
    for (const { url } of [service, unauthorized]) {
      for (const body of [...bodies, 'secret-text']) await fetch(`${url}/tasks`, { method: 'POST', headers, body });
      for (const path of ['/tasks?q=secret-search', '/secret?secret-query', '/tasks?limit=secret-limit']) {
        await fetch(url + path, { headers });
      }
    }
    for (const { child } of [service, unauthorized]) child.kill('SIGTERM');
    await Promise.all([service.exited, unauthorized.exited]);
    expect(service.output().match(/"msg":"request"/g)?.length).toBeGreaterThan(5);
    expect((service.output() + unauthorized.output()).match(/.*secret-.*/g)).toBeNull();
  });

  it('serves metrics of requests, the pool and the event loop on a separate port', async () => {
    const service = await run();
    await untilStatus(200, `${service.url}/health`);
    await createTask(service);
    await fetch(`${service.url}/nowhere`);
    const metrics = await (await fetch(`${service.metricsUrl}/metrics`)).text();
    expect(metrics).toContain('http_request_duration_seconds_count{operation="createTask",status="201"} 1');
    expect(metrics).toContain('http_request_duration_seconds_count{operation="none",status="404"} 1');
    expect(metrics).toMatch(/pg_pool_connections\{state="idle"\} \d/);
    expect(metrics).toContain('nodejs_eventloop_lag_seconds');
    expect((await fetch(`${service.url}/metrics`)).status).toBe(404);
  });
});
