/** Proves the request log and the Prometheus metrics of a service. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DatabaseUnavailable } from '@task-manager/runtime/postgres/database';
import { pino } from 'pino';
import { captureLog, listen, serve, type LogLine, type TestService } from './harness.ts';
import { unknownId, json, withListHandler, send, type Subject } from './subject.ts';

export function testObservability(subject: Subject): void {
  const { name, create, list, prefix, listOperation } = subject;
  const captured = captureLog();
  let service: TestService;
  let base: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers, { logger: captured.logger });
    base = service.url + prefix;
  });
  afterAll(() => service.stop());

  /** Sends a request and returns its only line of the log. */
  async function logLineOf(method: string, path: string, headers = {}, body?: string): Promise<LogLine | undefined> {
    const before = captured.lines.length;
    const response = await send(base + path, method, headers, body);
    const written = captured.lines.slice(before).filter(({ msg }) => msg === 'request');
    expect(written.length).toBe(1);
    expect(written[0]?.requestId).toBe(response.headers['x-request-id']);
    return written[0];
  }

  describe('request log', () => {
    it('has one line with the operation, status and duration of each request', async () => {
      const begin = performance.now();
      const line = await logLineOf('GET', `${list}?limit=1`, { 'X-Request-Id': 'look-for-me' });
      const passedMs = performance.now() - begin;
      expect(line).toEqual({
        level: 30,
        time: expect.any(Number),
        pid: expect.any(Number),
        hostname: expect.any(String),
        requestId: 'look-for-me',
        operation: listOperation,
        method: 'GET',
        path: prefix + list,
        status: 200,
        durationMs: expect.any(Number),
        msg: 'request',
      });
      expect(line).toMatchObject({ durationMs: Math.floor(line?.durationMs ?? NaN) });
      expect(line?.durationMs).toBeGreaterThanOrEqual(0);
      expect(line?.durationMs).toBeLessThanOrEqual(Math.ceil(passedMs));
    });

    it('has the method of the request, and no operation when none matches', async () => {
      expect(await logLineOf('HEAD', list)).toMatchObject({ method: 'HEAD', status: 200 });
      const nowhere = await logLineOf('PUT', '/nowhere?secret');
      expect(nowhere).toMatchObject({ level: 30, method: 'PUT', path: `${prefix}/nowhere`, status: 404 });
      expect(nowhere).not.toHaveProperty('operation');
    });

    it('has health checks and successful polls at level debug', async () => {
      for (const path of ['/health', '/health/live']) expect(await logLineOf('GET', path)).toMatchObject({ level: 20 });
      expect(await logLineOf('GET', `${list}/feed?limit=1`)).toMatchObject({ level: 30, status: 200 });
      expect(await logLineOf('GET', `${list}/feed?limit=1&wait=0`)).toMatchObject({ level: 20, status: 200 });
      expect(await logLineOf('GET', `${list}/feed?limit=none&wait=0`)).toMatchObject({ level: 30, status: 400 });
      for (const path of ['/health/more', '/my-health'])
        expect(await logLineOf('GET', path)).toMatchObject({ level: 30 });
    });

    it('has a 500 at level error with its cause, and a 503 at level warn', async () => {
      const failing = captureLog();
      let failure = new Error('a bug');
      const broken = await serve(
        name,
        withListHandler(subject, () => Promise.reject(failure)),
        { logger: failing.logger },
      );
      await send(broken.url + list, 'GET');
      expect(failing.lines.at(-1)).toMatchObject({ level: 50, status: 500, err: { message: 'a bug' } });
      failure = new DatabaseUnavailable('unavailable', { cause: new Error('the reason') });
      await send(broken.url + list, 'GET');
      expect(failing.lines.at(-1)).toMatchObject({
        level: 40,
        status: 503,
        err: { message: expect.stringMatching('unavailable') },
      });
      broken.health.reason = 'not yet';
      await send(`${broken.url}/health`, 'GET');
      expect(failing.lines.at(-1)).toMatchObject({ level: 20, status: 503 });
      await broken.stop();
      await send(base + create, 'POST', json, '{');
      expect(captured.lines.at(-1)).toMatchObject({ level: 30, status: 400 });
      expect(captured.lines.at(-1)).not.toHaveProperty('err');
    });

    it('marks a request as aborted when the client disconnects', async () => {
      const aborted = captureLog();
      const waiting = await serve(
        name,
        withListHandler(subject, async ({ db }) => {
          await db.query({ text: 'select pg_sleep(0.3)' });
          return { status: 200, body: { items: [], nextCursor: null } };
        }),
        { logger: aborted.logger },
      );
      const signal = AbortSignal.timeout(50);
      await expect(fetch(waiting.url + list, { signal })).rejects.toThrow();
      while (aborted.lines.length === 0) await send(`${waiting.url}/health/live`, 'GET');
      const [line] = aborted.lines.filter(({ operation }) => operation === listOperation);
      expect(line).toMatchObject({ aborted: true, operation: listOperation });
      await waiting.stop();
    });

    it('has no line below its level', async () => {
      const lines: string[] = [];
      const logger = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
      const quiet = await serve(name, subject.handlers, { logger });
      await send(quiet.url + list, 'GET');
      await send(`${quiet.url}/nowhere`, 'GET');
      expect(lines).toEqual([]);
      await quiet.stop();
    });
  });

  describe('metrics', () => {
    let url: string;
    beforeAll(async () => {
      url = await listen(service.metrics.server);
    });
    afterAll(() => {
      service.metrics.server.close();
    });

    it('are served on a separate port in the format of Prometheus', async () => {
      const response = await send(`${url}/metrics`, 'GET');
      expect(response).toMatchObject({
        status: 200,
        headers: { 'content-type': expect.stringMatching(/^text\/plain; version=/) },
      });
      expect(response.text).toContain('nodejs_eventloop_lag_seconds');
      expect(response.text).toContain('process_resident_memory_bytes');
      for (const path of ['/', '/metrics/', '/health']) expect((await send(url + path, 'GET')).status).toBe(404);
      expect((await send(`${base}/metrics`, 'GET')).status).toBe(404);
    });

    it('count requests and their durations by operation and status', async () => {
      const counts = async () => {
        const { text } = await send(`${url}/metrics`, 'GET');
        const lines = [...text.matchAll(/^http_request_duration_seconds_(\w+)\{(.*)\} (.+)$/gm)];
        return new Map(lines.map(([, kind, labels, value]) => [`${kind} ${labels}`, Number(value)]));
      };
      const before = await counts();
      await send(base + list, 'GET');
      await send(`${base}${list}/${unknownId}`, 'GET');
      await send(`${base}/nowhere`, 'GET');
      const after = await counts();
      const increase = (labels: string) => (after.get(labels) ?? 0) - (before.get(labels) ?? 0);
      const listLabels = `operation="${listOperation}",status="200"`;
      expect(increase(`count ${listLabels}`)).toBe(1);
      expect(increase('count operation="none",status="404"')).toBe(1);
      expect(increase(`sum ${listLabels}`)).toBeGreaterThan(0);
      expect(increase(`sum ${listLabels}`)).toBeLessThan(10);
      const buckets = [...after.keys()].filter((key) => key.startsWith('bucket') && key.endsWith(listLabels));
      const bounds = buckets.map((key) => /le="([^"]+)"/.exec(key)?.[1]);
      const expected = ['0.001', '0.0025', '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '+Inf'];
      expect(bounds).toEqual(expected);
    });

    it('count the connections of the pool that are used, idle and waited for', async () => {
      const pool = async () => {
        const { text } = await send(`${url}/metrics`, 'GET');
        expect(text).toMatch(/^# HELP pg_pool_connections .*in use, idle/m);
        const lines = [...text.matchAll(/^pg_pool_connections\{state="(\w+)"\} (\d+)$/gm)];
        return Object.fromEntries(lines.map(([, state, value]) => [state, Number(value)])) as object;
      };
      const { max } = service.db.pool.options;
      const clients = await Promise.all(Array.from({ length: max }, () => service.db.pool.connect()));
      const waiting = service.db.pool.connect();
      expect(await pool()).toEqual({ used: max, idle: 0, waiting: 1 });
      for (const client of clients) client.release();
      (await waiting).release();
      expect(await pool()).toEqual({ used: 0, idle: max, waiting: 0 });
    });
  });
}
