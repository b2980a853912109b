/** What a service answers when something of its own fails: its code, its contract, its database. */
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

  describe('faults', () => {
    it('answers a bug with 500, and tells nothing of it but to the log', async () => {
      const { logger, lines } = captureLog();
      const bug = () => Promise.reject(new Error('secret'));
      const failing = await serve(name, withListHandler(subject, bug), { logger });
      const answer = await send(failing.url + list, 'GET');
      const detail = 'The service failed. Its log has the cause under this request id.';
      expect(answer).toMatchObject({ status: 500, body: { status: 500, title: 'Internal error', detail } });
      expect(answer.text).not.toMatch(/secret|Error:|\.ts/);
      expect((await send(`${failing.url}/health`, 'GET')).status).toBe(200);
      const { requestId } = answer.body;
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

    it('refuses with 400 a value that only the database finds wrong, and does not take it for a fault', async () => {
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

    it('closes the connection of a request that it has no problem to answer with, and serves on', async () => {
      const speechless = await serve(name, subject.handlers, {
        alterContract: (contract) => ({ ...contract, problems: new Map() }),
      });
      for (const path of [`${list}/${unknownId}`, '/nowhere', `${list}?limit=x`]) {
        await expect(send(speechless.url + path, 'GET')).rejects.toThrow('socket hang up');
        expect((await send(`${speechless.url}/health`, 'GET')).status).toBe(200);
      }
      await speechless.stop();
    });

    it('answers 500 when it has not the problem that it should answer with', async () => {
      const lacking = await serve(name, subject.handlers, {
        alterContract: (contract) => ({
          ...contract,
          problems: new Map([...contract.problems].filter(([, { status }]) => status === 500)),
        }),
      });
      for (const path of [`${list}/${unknownId}`, '/nowhere', `${list}?limit=x`]) {
        expect(await send(lacking.url + path, 'GET')).toMatchObject({ status: 500, body: { title: 'Internal error' } });
      }
      await lacking.stop();
    });

    it('answers 500 rather than leave the contract, when answers are held to it', async () => {
      const whole = { status: 200, body: { items: [], nextCursor: null } };
      const pageless = { status: 200, headers: { ETag: '"1"' } };
      const straying: Record<string, [answer: object, fault: RegExp]> = {
        'another body': [
          { ...whole, body: { items: [{ id: 1 }], nextCursor: null } },
          /^the body\/items\/0 must have required property '\w+', .* the body\/items\/0\/id must be string$/,
        ],
        'a field more': [{ ...whole, body: { ...whole.body, more: 1 } }, /^the body must NOT have additional prop/],
        'no body': [pageless, /^the media type \(none\) is not declared$/],
        'no body and no ETag': [{ status: 200 }, /^ETag is missing; the media type \(none\) is not declared$/],
        'another status': [{ status: 418, body: {} }, new RegExp(`^${subject.listOperation} has no 418$`)],
        'a header more': [{ ...whole, headers: { Location: '/tasks/1' } }, /^Location is not declared$/],
        'another header': [{ ...whole, headers: { Link: 'none' } }, /^Link must match pattern/],
        'another problem': [
          { status: 400, problem: { detail: 'x'.repeat(2001) } },
          /^the body\/detail must NOT have more/,
        ],
      };
      let answered: object = whole;
      const { logger, lines } = captureLog();
      const service = await serve(
        name,
        withListHandler(subject, () => Promise.resolve(answered)),
        { logger },
      );
      expect(await send(service.url + list, 'GET')).toMatchObject(whole);
      for (const [how, [answer, fault]] of Object.entries(straying)) {
        answered = answer;
        const { status, headers, body } = await send(service.url + list, 'GET');
        const detail = 'The response did not match the contract.';
        expect({ how, status, ...body }).toMatchObject({ status: 500, title: 'Internal error', detail });
        const [, said] = /^the response breaks the contract: (.*)/.exec(lines.at(-1)?.err?.message ?? '') ?? [];
        expect(said).toMatch(fault);
        expect(headers).toMatchObject({ 'content-type': expect.stringContaining('problem+json') });
        for (const header of ['location', 'link', 'etag']) expect(headers).not.toHaveProperty(header);
      }
      // One that it could not even write.
      answered = { status: 409, problem: { detail: 'a conflict' } };
      expect(await send(service.url + list, 'GET')).toMatchObject({ status: 500, body: { title: 'Internal error' } });
      await service.stop();
    });

    it.each([
      ['is away', { port: 1 }],
      ['refuses the service', { database: 'nowhere' }],
    ])('answers 503 with Retry-After while the database %s, and serves again by itself', async (_how, wrong) => {
      const { pool } = service.db;
      const right = { ...pool.options };
      await service.db.pool.query('select');
      Object.assign(pool.options, wrong);
      await closeIdle();
      expect(await send(base + list, 'GET')).toMatchObject({
        status: 503,
        headers: { 'retry-after': '1' },
        body: { status: 503, title: 'Service unavailable', detail: 'The database cannot be reached.' },
      });
      Object.assign(pool.options, right);
      expect((await send(base + list, 'GET')).status).toBe(200);
    });
  });

  /** Ends the pool's connections from PostgreSQL's side, as an administrator would. */
  async function closeIdle(): Promise<void> {
    const { pool } = service.db;
    const client = await pool.connect();
    client.release(true);
    while (pool.idleCount > 0) (await pool.connect()).release(true);
  }
}
