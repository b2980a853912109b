/** Proves that a retry with the same `Idempotency-Key` takes effect once, for each operation that creates. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { serve, type TestService } from './harness.ts';
import { type TestResponse, json, newBodies, send, type Subject, retryWhileUnavailable } from './subject.ts';

export function testIdempotency(subject: Subject): void {
  const { name, create, batch, list, prefix, table, text } = subject;
  const newBody = newBodies(subject);
  const schema = name.replaceAll('-', '_');
  let service: TestService;
  let base: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
    base = service.url + prefix;
  });
  afterAll(() => service.stop());

  let keys = 0;
  const newKey = () => `key ${(keys += 1)}`;

  async function rows(body: object): Promise<number> {
    const value = (body as Record<string, unknown>)[text];
    return (await service.db.pool.query(`select from ${table} where ${text} = $1`, [value])).rowCount ?? 0;
  }

  function postTo(path: string, key: string, body: object): Promise<TestResponse> {
    return send(service.url + path, 'POST', { ...json, 'Idempotency-Key': key }, JSON.stringify(body));
  }

  const isReplayed = ({ headers }: TestResponse) => headers['idempotent-replayed'];

  describe.each(batch ? [create, batch] : [create])('idempotency key of POST %s', (path) => {
    function post(key: string, body: object, server = prefix): Promise<TestResponse> {
      return postTo(server + path, key, path === batch ? { items: [body] } : body);
    }

    it('returns the first response again and writes nothing when the request is repeated', async () => {
      const [key, body] = [newKey(), newBody()];
      const first = await post(key, body);
      expect(first.status).toBe(201);
      expect(isReplayed(first)).toBeUndefined();
      for (let retry = 0; retry < 3; retry++) {
        const response = await post(key, body);
        expect([response.status, response.text, isReplayed(response)]).toEqual([201, first.text, 'true']);
        expect([response.headers.location, response.headers.etag]).toEqual([
          first.headers.location,
          first.headers.etag,
        ]);
      }
      expect(await rows(body)).toBe(1);
    });

    it('returns the first response when the resource was changed or deleted since', async () => {
      const [key, body] = [newKey(), newBody()];
      const first = await post(key, body);
      const [created = first.body] = (first.body.items ?? []) as Record<string, unknown>[];
      const url = `${base}${list}/${String(created.id)}`;
      expect((await send(url, 'PATCH', json, JSON.stringify({ [text]: 'Changed' }))).status).toBe(200);
      expect((await post(key, body)).text).toBe(first.text);
      expect((await send(url, 'DELETE')).status).toBe(204);
      expect((await post(key, body)).text).toBe(first.text);
      expect(await rows(body)).toBe(0);
    });

    it('treats bodies as equal when only the field order or explicit defaults differ', async () => {
      const [key, body] = [newKey(), newBody()];
      const first = await post(key, body);
      for (const equal of [Object.fromEntries(Object.entries(body).reverse()), { ...subject.defaults, ...body }]) {
        const response = await post(key, equal);
        expect([response.text, isReplayed(response)]).toEqual([first.text, 'true']);
      }
    });

    it('returns the Location with the prefix of the retry', async () => {
      const [key, body] = [newKey(), newBody()];
      const { location } = (await post(key, body)).headers;
      const retried = await post(key, body, '');
      expect(isReplayed(retried)).toBe('true');
      expect(retried.headers.location).toBe(location?.slice(prefix.length));
    });

    it('returns 422 and writes nothing when the key came with a different request', async () => {
      const [key, body, other] = [newKey(), newBody(), newBody()];
      await post(key, body);
      const detail = 'This Idempotency-Key was used with a different request.';
      expect(await post(key, other)).toMatchObject({ status: 422, body: { title: 'Idempotency key reused', detail } });
      expect(await rows(other)).toBe(0);
      expect((await post(key, body)).status).toBe(201);
    });

    it('stores nothing when the request is rejected', async () => {
      const [key, body] = [newKey(), newBody()];
      expect((await post(key, { ...body, [subject.text]: '' })).status).toBe(400);
      expect((await post(key, await subject.conflicts(base))).status).toBe(409);
      service.db.isMigrated = false;
      const unavailable = post(key, body).finally(() => (service.db.isMigrated = true));
      expect((await unavailable).status).toBe(503);
      const response = await post(key, body);
      expect([response.status, isReplayed(response)]).toEqual([201, undefined]);
    });

    it('takes effect once when 50 requests are concurrent', async () => {
      const [key, body] = [newKey(), newBody()];
      const responses = await Promise.all(
        Array.from({ length: 50 }, () => retryWhileUnavailable(() => post(key, body))),
      );
      const created = responses.filter(({ status }) => status === 201);
      expect(created.filter((response) => !isReplayed(response)).length).toBe(1);
      expect(new Set(created.map(({ text }) => text)).size).toBe(1);
      for (const { status, body: problem } of responses.filter((response) => response.status !== 201)) {
        expect({ status, type: problem.type }).toEqual({ status: 409, type: `${prefix}/problems/request-in-flight` });
      }
      expect(await rows(body)).toBe(1);
      expect((await post(key, body)).status).toBe(201);
    });

    it('accepts one of several concurrent requests when their bodies differ', async () => {
      const key = newKey();
      const bodies = Array.from({ length: 10 }, () => newBody());
      const responses = await Promise.all(bodies.map((body) => retryWhileUnavailable(() => post(key, body))));
      const statuses = responses.map(({ status }) => status).sort();
      expect(statuses.filter((status) => status === 201).length).toBe(1);
      expect(statuses.every((status) => [201, 409, 422].includes(status))).toBe(true);
      const counts = await Promise.all(bodies.map((body) => rows(body)));
      expect(counts).toEqual(responses.map(({ status }) => (status === 201 ? 1 : 0)));
    });

    it('returns 409 while the first request is in flight', async () => {
      const [key, body] = [newKey(), newBody()];
      const client = await service.db.pool.connect();
      await client.query('begin');
      await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`${schema} ${key}`]);
      const inFlight = await post(key, body);
      await client.query('rollback');
      client.release();
      const detail = 'A request with this Idempotency-Key is still in progress.';
      expect(inFlight).toMatchObject({ status: 409, body: { title: 'Request in flight', detail } });
      expect((await post(key, body)).status).toBe(201);
    });

    it('rolls back the effect when the response cannot be stored', async () => {
      const [key, body] = [newKey(), newBody()];
      const breakInserts = `alter table ${schema}.idempotency_keys add constraint never check (key <> '${key}')`;
      await service.db.pool.query(breakInserts);
      expect((await post(key, body)).status).toBe(500);
      expect(await rows(body)).toBe(0);
      await service.db.pool.query(`alter table ${schema}.idempotency_keys drop constraint never`);
      expect((await post(key, body)).status).toBe(201);
      expect(await rows(body)).toBe(1);
    });

    it('stores no response when the commit fails', async () => {
      const [key, body] = [newKey(), newBody()];
      await service.db.pool.query(`
        create function ${schema}.fail_commit() returns trigger language plpgsql as $$ begin raise 'lost'; end $$;
        create constraint trigger lose after insert on ${table} deferrable initially deferred
          for each row execute function ${schema}.fail_commit()`);
      expect((await post(key, body)).status).toBe(500);
      await service.db.pool.query(`drop trigger lose on ${table}; drop function ${schema}.fail_commit`);
      const response = await post(key, body);
      expect([response.status, isReplayed(response)]).toEqual([201, undefined]);
      expect(await rows(body)).toBe(1);
    });

    it('expires after 24 hours, and later requests delete it', async () => {
      const [key, body] = [newKey(), newBody()];
      const first = await post(key, body);
      await age(key, '23 hours 59 minutes');
      expect((await post(key, body)).text).toBe(first.text);
      await age(key, '24 hours 1 minute');
      const other = newBody();
      expect((await post(key, other)).status).toBe(201);
      expect((await post(key, other)).headers['idempotent-replayed']).toBe('true');
      await age(key, '25 hours');
      await post(newKey(), newBody());
      const { rows: remaining } = await service.db.pool.query(`select from ${schema}.idempotency_keys where key = $1`, [
        key,
      ]);
      expect(remaining).toEqual([]);
    });

    it('returns 400 when the key is not 1 to 255 visible ASCII characters', async () => {
      expect((await post(path.padEnd(255, 'k'), newBody())).status).toBe(201);
      for (const invalid of ['k'.repeat(256), '', 'ü']) {
        const { status, body } = await post(invalid, newBody());
        const errors = expect.arrayContaining([expect.objectContaining({ pointer: '/headers/idempotency-key' })]);
        expect({ status, errors: body.errors }).toMatchObject({ status: 400, errors });
      }
    });
  });

  if (batch) {
    it('returns 422 and writes nothing when the idempotency key came with another operation', async () => {
      const [key, other, body] = [newKey(), newKey(), newBody()];
      await postTo(prefix + create, key, body);
      await postTo(prefix + batch, other, { items: [body] });
      expect((await postTo(prefix + batch, key, { items: [body] })).status).toBe(422);
      expect((await postTo(prefix + create, other, body)).status).toBe(422);
      expect(await rows(body)).toBe(2);
    });
  }

  async function age(key: string, interval: string): Promise<void> {
    await service.db.pool.query(
      `update ${schema}.idempotency_keys set created_at = now() - $2::interval where key = $1`,
      [key, interval],
    );
  }
}
