/** Proves conditional requests (RFC 9110 §13), and PATCH and DELETE with them. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { serve, type TestService } from './harness.ts';
import { unknownId, type TestResponse, json, newBodies, send, type Subject, retryWhileUnavailable } from './subject.ts';

export function testConditionalRequests(subject: Subject): void {
  const { name, create, list, prefix, table } = subject;
  const newBody = newBodies(subject);
  let service: TestService;
  let base: string;
  /** The URL of a resource that does not exist. */
  let missing: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
    base = service.url + prefix;
    missing = `${base}${list}/${unknownId}`;
  });
  afterAll(() => service.stop());

  /** Creates a resource and returns its URL. */
  async function createResource(): Promise<string> {
    const { status, headers } = await send(base + create, 'POST', json, JSON.stringify(newBody()));
    expect(status).toBe(201);
    return service.url + String(headers.location);
  }

  function patch(url: string, headers: Record<string, string> = {}, changes: unknown = { [subject.text]: 'Changed' }) {
    return send(url, 'PATCH', { ...json, ...headers }, JSON.stringify(changes));
  }

  async function versionOf(url: string): Promise<unknown> {
    return (await send(url, 'GET')).body.version;
  }

  describe('ETag', () => {
    it('holds the version, and changes with it', async () => {
      const url = await createResource();
      expect((await send(url, 'GET')).headers.etag).toBe('"1"');
      expect(await patch(url)).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { version: 2 } });
      expect((await send(url, 'GET')).headers.etag).toBe('"2"');
    });

    it('returns 304 without a body when If-None-Match names the current version', async () => {
      const url = await createResource();
      for (const tags of ['"1"', 'W/"1"', '"0", "1"', '*']) {
        const { status, text, headers } = await send(url, 'GET', { 'If-None-Match': tags });
        expect([status, text]).toEqual([304, '']);
        expect(headers).toMatchObject({ etag: '"1"', 'cache-control': 'no-cache' });
        expect(headers).not.toHaveProperty('content-type');
      }
      expect(await send(url, 'HEAD', { 'If-None-Match': '"1"' })).toMatchObject({ status: 304 });
      // With If-None-Match, fetch adds Cache-Control: no-cache.
      expect((await fetch(url, { headers: { 'If-None-Match': '"1"' } })).status).toBe(304);
      for (const tags of ['"2"', '"11"', '1', 'W/"x"']) {
        expect((await send(url, 'GET', { 'If-None-Match': tags })).status).toBe(200);
      }
    });

    it('identifies a list until an item changes', async () => {
      await createResource();
      const { etag = '' } = (await send(base + list, 'GET')).headers;
      expect(await send(base + list, 'GET', { 'If-None-Match': etag })).toMatchObject({ status: 304, text: '' });
      await createResource();
      const changed = await send(base + list, 'GET', { 'If-None-Match': etag });
      expect(changed.status).toBe(200);
      expect(changed.headers.etag).not.toBe(etag);
    });

    it('is absent when the contract declares none, even with If-None-Match', async () => {
      const { status, headers } = await send(`${base}/health`, 'GET', { 'If-None-Match': '*' });
      expect(status).toBe(200);
      expect(headers).not.toHaveProperty('etag');
    });
  });

  describe('If-Match', () => {
    it('allows a change when it lists the current version or is *', async () => {
      const url = await createResource();
      expect((await patch(url, { 'If-Match': '"1"' })).status).toBe(200);
      expect((await patch(url, { 'If-Match': '"1" , "2"' })).status).toBe(200);
      expect((await patch(url, { 'If-Match': '*' })).body.version).toBe(4);
      expect((await send(url, 'DELETE', { 'If-Match': '"4"' })).status).toBe(204);
    });

    it('returns 412 and changes nothing when the version is stale', async () => {
      const url = await createResource();
      await patch(url);
      const before = await send(url, 'GET');
      for (const tags of ['"1"', 'W/"2", "1"', '"22"', '"999999999999999999999"', '""']) {
        for (const response of [
          await patch(url, { 'If-Match': tags }),
          await send(url, 'DELETE', { 'If-Match': tags }),
        ]) {
          const detail = 'If-Match does not match the current version.';
          expect(response).toMatchObject({ status: 412, body: { title: 'Stale version', detail } });
        }
      }
      expect((await send(url, 'GET')).text).toBe(before.text);
    });

    it('returns 412 that explains weak tags and changes nothing when all tags are weak', async () => {
      const url = await createResource();
      const before = await send(url, 'GET');
      for (const tags of ['W/"1"', 'W/"1", W/"2"']) {
        for (const response of [
          await patch(url, { 'If-Match': tags }),
          await send(url, 'DELETE', { 'If-Match': tags }),
        ]) {
          const detail = 'If-Match has only weak tags, which never match. Send the ETag without W/.';
          const type = `${prefix}/problems/weak-etag`;
          expect(response).toMatchObject({ status: 412, body: { type, title: 'Weak ETag', detail } });
        }
        expect((await patch(missing, { 'If-Match': tags })).status).toBe(404);
      }
      expect((await send(url, 'GET')).text).toBe(before.text);
    });

    it('returns 400 with a pointer to the header when it is not a list of tags', async () => {
      const url = await createResource();
      for (const invalid of ['1', '"1', '"1" "2"', '*, "1"', 'w/"1"']) {
        const { status, body } = await patch(url, { 'If-Match': invalid });
        expect({ status, errors: body.errors }).toMatchObject({
          status: 400,
          errors: [{ pointer: '/headers/if-match' }],
        });
      }
      expect(await versionOf(url)).toBe(1);
    });

    it('allows exactly one of 200 concurrent changes of the same version', async () => {
      const url = await createResource();
      const responses = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          retryWhileUnavailable(() => patch(url, { 'If-Match': '"1"' }, { [subject.text]: `Won by ${index}` })),
        ),
      );
      const statuses = responses.map(({ status }) => status).sort();
      expect(statuses).toEqual([200, ...Array.from({ length: 199 }, () => 412)]);
      const winner = responses.find(({ status }) => status === 200);
      expect((await send(url, 'GET')).text).toBe(winner?.text);
      expect(await versionOf(url)).toBe(2);
    });

    it('loses no concurrent edit when no request has If-Match', async () => {
      const url = await createResource();
      await Promise.all(Array.from({ length: 20 }, () => patch(url)));
      expect(await versionOf(url)).toBe(21);
    });
  });

  describe('PATCH', () => {
    it('waits for a concurrent change of the row, and then applies its own', async () => {
      const url = await createResource();
      const other = await service.db.pool.connect();
      await other.query('begin');
      await other.query(`update ${table} set version = version + 1 where id = $1`, [url.split('/').at(-1)]);
      const waiting = patch(url);
      const locked = `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      while ((await service.db.pool.query(locked)).rowCount === 0);
      await other.query('commit');
      other.release();
      expect(await waiting).toMatchObject({ status: 200, body: { version: 3 } });
    });

    it('accepts a merge patch as either media type, and returns 415 for others', async () => {
      const url = await createResource();
      for (const type of [
        'application/merge-patch+json',
        'application/json',
        'application/merge-patch+json; charset=utf-8',
      ]) {
        expect((await patch(url, { 'Content-Type': type })).status).toBe(200);
      }
      for (const type of [
        'application/json-patch+json',
        'text/plain',
        'application/merge-patch+json; charset=latin1',
      ]) {
        expect((await patch(url, { 'Content-Type': type })).status).toBe(415);
      }
      expect(await versionOf(url)).toBe(4);
    });

    it('changes only the given fields', async () => {
      const url = await createResource();
      const { body: before } = await send(url, 'GET');
      const { body: after } = await patch(url, {}, { [subject.text]: 'Another' });
      expect(after).toEqual({ ...before, [subject.text]: 'Another', version: 2, updatedAt: after.updatedAt });
      expect(String(after.updatedAt) >= String(before.updatedAt)).toBe(true);
      expect((await send(url, 'GET')).body).toEqual(after);
    });

    it('increments the version when the patch is empty', async () => {
      const url = await createResource();
      const { body: before } = await send(url, 'GET');
      const { body: after } = await patch(url, {}, {});
      expect(after).toEqual({ ...before, version: 2, updatedAt: after.updatedAt });
    });

    it('returns 409 and changes nothing when the patch conflicts with other data', async () => {
      const url = await createResource();
      const before = await send(url, 'GET');
      const response = await patch(url, { 'If-Match': '"1"' }, await subject.conflicts(base));
      expect(response.status).toBe(409);
      expect((await send(url, 'GET')).text).toBe(before.text);
    });

    it('returns 400 with a pointer and changes nothing when the patch is invalid', async () => {
      const url = await createResource();
      const before = await send(url, 'GET');
      for (const [changes, pointer] of [
        [{ [subject.text]: null }, `/body/${subject.text}`],
        [{ [subject.text]: '' }, `/body/${subject.text}`],
        [{ [subject.text]: 7 }, `/body/${subject.text}`],
        [{ [subject.text]: 'a\0b' }, `/body/${subject.text}`],
        [{ id: '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70' }, '/body/id'],
        [{ version: 7 }, '/body/version'],
        [{ createdAt: '2026-11-23T09:30:00.000Z' }, '/body/createdAt'],
        [[], '/body'],
        [null, '/body'],
        ['x', '/body'],
      ] as const) {
        const { status, body } = await patch(url, {}, changes);
        const errors = expect.arrayContaining([expect.objectContaining({ pointer })]);
        expect({ changes, status, errors: body.errors }).toMatchObject({ status: 400, errors });
      }
      for (const [changes, pointer] of [
        ['{"__proto__":{"version":7}}', '/body/__proto__'],
        [`{"${subject.text}":"a","${subject.text}":"b"}`, `/body/${subject.text}`],
        ['{"constructor":{"prototype":{}}}', '/body/constructor'],
        ['{', '/body'],
        ['', '/body'],
      ] as const) {
        const { status, body } = await send(url, 'PATCH', json, changes);
        const errors = expect.arrayContaining([expect.objectContaining({ pointer })]);
        expect({ changes, status, errors: body.errors }).toMatchObject({ status: 400, errors });
      }
      expect((await send(url, 'GET')).text).toBe(before.text);
    });

    it('returns 404 when the resource does not exist, with or without If-Match', async () => {
      for (const headers of [{}, { 'If-Match': '"1"' }]) expect((await patch(missing, headers)).status).toBe(404);
    });
  });

  describe('DELETE', () => {
    it('returns 204, and later requests return 404', async () => {
      const url = await createResource();
      expect(await send(url, 'DELETE')).toMatchObject({ status: 204, text: '' });
      for (const response of [await send(url, 'GET'), await patch(url), await send(url, 'DELETE')]) {
        const detail = expect.stringMatching(/^There is no (task|user) with this id\.$/);
        expect(response).toMatchObject({ status: 404, body: { detail } });
      }
      const { rows } = await service.db.pool.query(`select from ${table} where id = $1`, [url.split('/').at(-1)]);
      expect(rows).toEqual([]);
    });

    it('returns 404 when the resource does not exist, with or without If-Match', async () => {
      for (const headers of [{}, { 'If-Match': '"1"' }]) {
        expect((await send(missing, 'DELETE', headers)).status).toBe(404);
      }
    });

    it('returns 204 to exactly one of ten concurrent requests', async () => {
      const url = await createResource();
      const responses = await Promise.all(Array.from({ length: 10 }, () => send(url, 'DELETE')));
      expect(responses.filter(({ status }: TestResponse) => status === 204).length).toBe(1);
      expect(responses.every(({ status }) => status === 204 || status === 404)).toBe(true);
    });
  });
}
