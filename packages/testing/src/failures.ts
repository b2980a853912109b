/** Proves how a service responds when its code, its contract or its database fails. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { captureLog, serve, type TestService } from './harness.ts';
import { unknownId, withListHandler, send, type Subject } from './subject.ts';

export function testFailures(subject: Subject): void {
  const { name, list, prefix } = subject;
  let service: TestService;
  let base: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
    base = service.url + prefix;
  });
  afterAll(() => service.stop());

  describe('failures', () => {
    it('returns 500 and reveals the cause only in the log when a handler throws', async () => {
      const { logger, lines } = captureLog();
      const bug = () => Promise.reject(new Error('secret'));
      const failing = await serve(name, withListHandler(subject, bug), { logger });
      const response = await send(failing.url + list, 'GET');
      const detail = 'The service failed. Its log has the cause under this request id.';
      expect(response).toMatchObject({ status: 500, body: { status: 500, title: 'Internal error', detail } });
      expect(response.text).not.toMatch(/secret|Error:|\.ts/);
      expect((await send(`${failing.url}/health`, 'GET')).status).toBe(200);
      const { requestId } = response.body;
      expect(lines).toContainEqual(
        expect.objectContaining({
          level: 50,
          requestId,
          status: 500,
          err: expect.objectContaining({ message: 'secret' }),
        }),
      );
      await failing.stop();
    });

    it('returns 400 and logs no error when only the database rejects a value', async () => {
      const { logger, lines } = captureLog();
      const failing = await serve(
        name,
        withListHandler(subject, ({ db }) => db.query({ text: `select 'x'::int` })),
        { logger },
      );
      const detail = 'A value cannot be stored.';
      expect(await send(failing.url + list, 'GET')).toMatchObject({ status: 400, body: { status: 400, detail } });
      expect(lines.filter(({ err }) => err)).toEqual([]);
      await failing.stop();
    });

    it('returns 500 and logs the cause when a value of the database cannot be read', async () => {
      const { logger, lines } = captureLog();
      // The connection has another DateStyle. This one takes effect before the row is sent.
      const text = `select set_config('DateStyle', 'German', true), timestamptz '2026-02-03 09:30Z' as "createdAt"`;
      const failing = await serve(
        name,
        withListHandler(subject, ({ db }) => db.query({ text })),
        { logger },
      );
      const detail = 'The service failed. Its log has the cause under this request id.';
      expect(await send(failing.url + list, 'GET')).toMatchObject({ status: 500, body: { status: 500, detail } });
      const message = '"03.02.2026 09:30:00 UTC" is not a time in ISO format: DateStyle has changed';
      expect(lines).toContainEqual(expect.objectContaining({ status: 500, err: expect.objectContaining({ message }) }));
      await failing.stop();
    });

    it('closes the connection and keeps serving when the contract has no problems at all', async () => {
      const withoutProblems = await serve(name, subject.handlers, {
        alterContract: (contract) => ({ ...contract, problems: new Map() }),
      });
      for (const path of [`${list}/${unknownId}`, '/nowhere', `${list}?limit=x`]) {
        await expect(send(withoutProblems.url + path, 'GET')).rejects.toThrow('socket hang up');
        expect((await send(`${withoutProblems.url}/health`, 'GET')).status).toBe(200);
      }
      await withoutProblems.stop();
    });

    it('returns 500 when the contract lacks the problem of a status', async () => {
      const withOneProblem = await serve(name, subject.handlers, {
        alterContract: (contract) => ({
          ...contract,
          problems: new Map([...contract.problems].filter(([, { status }]) => status === 500)),
        }),
      });
      for (const path of [`${list}/${unknownId}`, '/nowhere', `${list}?limit=x`]) {
        expect(await send(withOneProblem.url + path, 'GET')).toMatchObject({
          status: 500,
          body: { title: 'Internal error' },
        });
      }
      await withOneProblem.stop();
    });

    it('returns 500 when the response does not match the contract', async () => {
      const valid = { status: 200, body: { items: [], nextCursor: null } };
      const withoutBody = { status: 200, headers: { ETag: '"1"' } };
      const invalid: Record<string, [result: object, violation: RegExp]> = {
        'an invalid body': [
          { ...valid, body: { items: [{ id: 1 }], nextCursor: null } },
          /^the body\/items\/0 must have required property '\w+', .* the body\/items\/0\/id must be string$/,
        ],
        'an undeclared field': [
          { ...valid, body: { ...valid.body, more: 1 } },
          /^the body must NOT have additional prop/,
        ],
        'no body': [withoutBody, /^the media type \(none\) is not declared$/],
        'no body and no ETag': [{ status: 200 }, /^ETag is missing; the media type \(none\) is not declared$/],
        'an undeclared status': [{ status: 418, body: {} }, new RegExp(`^${subject.listOperation} has no 418$`)],
        'an undeclared header': [{ ...valid, headers: { Location: '/tasks/1' } }, /^Location is not declared$/],
        'an invalid header': [{ ...valid, headers: { Link: 'none' } }, /^Link must match pattern/],
        'an invalid problem': [
          { status: 400, problem: { detail: 'x'.repeat(2001) } },
          /^the body\/detail must NOT have more/,
        ],
      };
      let result: object = valid;
      const { logger, lines } = captureLog();
      const service = await serve(
        name,
        withListHandler(subject, () => Promise.resolve(result)),
        { logger },
      );
      expect(await send(service.url + list, 'GET')).toMatchObject(valid);
      for (const [label, [invalidResult, violation]] of Object.entries(invalid)) {
        result = invalidResult;
        const { status, headers, body } = await send(service.url + list, 'GET');
        const detail = 'The response did not match the contract.';
        expect({ label, status, ...body }).toMatchObject({ status: 500, title: 'Internal error', detail });
        const [, violations] = /^the response breaks the contract: (.*)/.exec(lines.at(-1)?.err?.message ?? '') ?? [];
        expect(violations).toMatch(violation);
        expect(headers).toMatchObject({ 'content-type': expect.stringContaining('problem+json') });
        for (const header of ['location', 'link', 'etag']) expect(headers).not.toHaveProperty(header);
      }
      // A problem that the operation does not declare.
      result = { status: 409, problem: { detail: 'a conflict' } };
      expect(await send(service.url + list, 'GET')).toMatchObject({ status: 500, body: { title: 'Internal error' } });
      await service.stop();
    });

    it.each([
      ['does not accept connections', { port: 1 }],
      ['rejects the service', { database: 'nowhere' }],
    ])('returns 503 with Retry-After while the database %s, and recovers', async (_label, options) => {
      const { pool } = service.db;
      const original = { ...pool.options };
      await service.db.pool.query('select');
      Object.assign(pool.options, options);
      await closeIdle();
      expect(await send(base + list, 'GET')).toMatchObject({
        status: 503,
        headers: { 'retry-after': '1' },
        body: { status: 503, title: 'Service unavailable', detail: 'The database cannot be reached.' },
      });
      Object.assign(pool.options, original);
      expect((await send(base + list, 'GET')).status).toBe(200);
    });

    it('returns 503 that says so when all connections are in use, and recovers', async () => {
      const { pool } = service.db;
      const taken = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()));
      const detail = 'No connection to the database is free.';
      expect(await send(base + list, 'GET')).toMatchObject({ status: 503, body: { detail } });
      for (const client of taken) client.release();
      expect((await send(base + list, 'GET')).status).toBe(200);
    });
  });

  /** Closes the idle connections of the pool, so that the next request opens one. */
  async function closeIdle(): Promise<void> {
    const { pool } = service.db;
    const client = await pool.connect();
    client.release(true);
    while (pool.idleCount > 0) (await pool.connect()).release(true);
  }
}
