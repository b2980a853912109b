/** `Idempotency-Key`: each service's tests hold it to these promises, for each of its operations that create. */
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
    const wanted = (body as Record<string, unknown>)[text];
    return (await service.db.pool.query(`select from ${table} where ${text} = $1`, [wanted])).rowCount ?? 0;
  }

  function postTo(path: string, key: string, body: object): Promise<TestResponse> {
    return send(service.url + path, 'POST', { ...json, 'Idempotency-Key': key }, JSON.stringify(body));
  }

  const isReplayed = ({ headers }: TestResponse) => headers['idempotent-replayed'];

  describe.each(batch ? [create, batch] : [create])('Idempotency-Key, sent to %s,', (path) => {
    function post(key: string, body: object, server = prefix): Promise<TestResponse> {
      return postTo(server + path, key, path === batch ? { items: [body] } : body);
    }

    it('gives the same request its first answer again, and does nothing twice', async () => {
      const [key, body] = [newKey(), newBody()];
      const first = await post(key, body);
      expect(first.status).toBe(201);
      expect(isReplayed(first)).toBeUndefined();
      for (let again = 0; again < 3; again++) {
        const answer = await post(key, body);
        expect([answer.status, answer.text, isReplayed(answer)]).toEqual([201, first.text, 'true']);
        expect([answer.headers.location, answer.headers.etag]).toEqual([first.headers.location, first.headers.etag]);
      }
      expect(await rows(body)).toBe(1);
    });

    it('gives it also when what was made has changed or is gone', async () => {
      const [key, body] = [newKey(), newBody()];
      const first = await post(key, body);
      const [made = first.body] = (first.body.items ?? []) as Record<string, unknown>[];
      const url = `${base}${list}/${String(made.id)}`;
      expect((await send(url, 'PATCH', json, JSON.stringify({ [text]: 'Changed' }))).status).toBe(200);
      expect((await post(key, body)).text).toBe(first.text);
      expect((await send(url, 'DELETE')).status).toBe(204);
      expect((await post(key, body)).text).toBe(first.text);
      expect(await rows(body)).toBe(0);
    });

    it('takes for the same what says the same in another order, or spells out what would be so anyway', async () => {
      const [key, body] = [newKey(), newBody()];
      const first = await post(key, body);
      for (const same of [Object.fromEntries(Object.entries(body).reverse()), { ...subject.defaults, ...body }]) {
        const answer = await post(key, same);
        expect([answer.text, isReplayed(answer)]).toEqual([first.text, 'true']);
      }
    });

    it('gives the Location the prefix that the retry came with', async () => {
      const [key, body] = [newKey(), newBody()];
      const { location } = (await post(key, body)).headers;
      const retried = await post(key, body, '');
      expect(isReplayed(retried)).toBe('true');
      expect(retried.headers.location).toBe(location?.slice(prefix.length));
    });

    it('refuses another request with the same key with 422, and does nothing', async () => {
      const [key, body, other] = [newKey(), newBody(), newBody()];
      await post(key, body);
      const detail = 'This Idempotency-Key was used with a different request.';
      expect(await post(key, other)).toMatchObject({ status: 422, body: { title: 'Idempotency key reused', detail } });
      expect(await rows(other)).toBe(0);
      expect((await post(key, body)).status).toBe(201);
    });

    it('keeps nothing of a request that was refused', async () => {
      const [key, body] = [newKey(), newBody()];
      expect((await post(key, { ...body, [subject.text]: '' })).status).toBe(400);
      expect((await post(key, await subject.conflicts(base))).status).toBe(409);
      service.db.isMigrated = false;
      const unavailable = post(key, body).finally(() => (service.db.isMigrated = true));
      expect((await unavailable).status).toBe(503);
      const answer = await post(key, body);
      expect([answer.status, isReplayed(answer)]).toEqual([201, undefined]);
    });

    it('lets 50 at once do it once', async () => {
      const [key, body] = [newKey(), newBody()];
      const answers = await Promise.all(Array.from({ length: 50 }, () => retryWhileUnavailable(() => post(key, body))));
      const created = answers.filter(({ status }) => status === 201);
      expect(created.filter((answer) => !isReplayed(answer)).length).toBe(1);
      expect(new Set(created.map(({ text }) => text)).size).toBe(1);
      for (const { status, body: problem } of answers.filter((answer) => answer.status !== 201)) {
        expect({ status, type: problem.type }).toEqual({ status: 409, type: `${prefix}/problems/request-in-flight` });
      }
      expect(await rows(body)).toBe(1);
      expect((await post(key, body)).status).toBe(201);
    });

    it('lets one of several different requests have a key that all send at once', async () => {
      const key = newKey();
      const bodies = Array.from({ length: 10 }, () => newBody());
      const answers = await Promise.all(bodies.map((body) => retryWhileUnavailable(() => post(key, body))));
      const statuses = answers.map(({ status }) => status).sort();
      expect(statuses.filter((status) => status === 201).length).toBe(1);
      expect(statuses.every((status) => [201, 409, 422].includes(status))).toBe(true);
      const counts = await Promise.all(bodies.map((body) => rows(body)));
      expect(counts).toEqual(answers.map(({ status }) => (status === 201 ? 1 : 0)));
    });

    it('answers 409 while the first is in flight', async () => {
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

    it('writes the effect and the answer together, or neither', async () => {
      const [key, body] = [newKey(), newBody()];
      const break_ = `alter table ${schema}.idempotency_keys add constraint never check (key <> '${key}')`;
      await service.db.pool.query(break_);
      expect((await post(key, body)).status).toBe(500);
      expect(await rows(body)).toBe(0);
      await service.db.pool.query(`alter table ${schema}.idempotency_keys drop constraint never`);
      expect((await post(key, body)).status).toBe(201);
      expect(await rows(body)).toBe(1);
    });

    it('keeps no answer of a request whose effect is lost with its commit', async () => {
      const [key, body] = [newKey(), newBody()];
      await service.db.pool.query(`
        create function ${schema}.refuse() returns trigger language plpgsql as $$ begin raise 'lost'; end $$;
        create constraint trigger lose after insert on ${table} deferrable initially deferred
          for each row execute function ${schema}.refuse()`);
      expect((await post(key, body)).status).toBe(500);
      await service.db.pool.query(`drop trigger lose on ${table}; drop function ${schema}.refuse`);
      const answer = await post(key, body);
      expect([answer.status, isReplayed(answer)]).toEqual([201, undefined]);
      expect(await rows(body)).toBe(1);
    });

    it('is forgotten after 24 hours, and cleared away by those that follow', async () => {
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
      const { rows: left } = await service.db.pool.query(`select from ${schema}.idempotency_keys where key = $1`, [
        key,
      ]);
      expect(left).toEqual([]);
    });

    it('is at most 255 visible characters, and no empty one', async () => {
      expect((await post(path.padEnd(255, 'k'), newBody())).status).toBe(201);
      for (const wrong of ['k'.repeat(256), '', 'ü']) {
        const { status, body } = await post(wrong, newBody());
        const errors = expect.arrayContaining([expect.objectContaining({ pointer: '/headers/idempotency-key' })]);
        expect({ status, errors: body.errors }).toMatchObject({ status: 400, errors });
      }
    });
  });

  if (batch) {
    it('is refused with 422 when it was sent to another operation, and nothing is done', async () => {
      const [key, other, body] = [newKey(), newKey(), newBody()];
      await postTo(prefix + create, key, body);
      await postTo(prefix + batch, other, { items: [body] });
      expect((await postTo(prefix + batch, key, { items: [body] })).status).toBe(422);
      expect((await postTo(prefix + create, other, body)).status).toBe(422);
      expect(await rows(body)).toBe(2);
    });
  }

  async function age(key: string, by: string): Promise<void> {
    await service.db.pool.query(
      `update ${schema}.idempotency_keys set created_at = now() - $2::interval where key = $1`,
      [key, by],
    );
  }
}
