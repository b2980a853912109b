/** Conditional requests and safe edits (RFC 9110 §13), as promises that each service's tests hold it to. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { serve, type TestService } from './harness.ts';
import { unknownId, type TestResponse, json, newBodies, send, type Subject, retryWhileUnavailable } from './subject.ts';

export function testConditionalRequests(subject: Subject): void {
  const { name, create, list, prefix, table } = subject;
  const newBody = newBodies(subject);
  let service: TestService;
  let base: string;
  /** Where nothing is. */
  let absent: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
    base = service.url + prefix;
    absent = `${base}${list}/${unknownId}`;
  });
  afterAll(() => service.stop());

  /** Where a new one is, seen from outside. */
  async function make(): Promise<string> {
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
    it('is made of the version, and changes with it', async () => {
      const url = await make();
      expect((await send(url, 'GET')).headers.etag).toBe('"1"');
      expect(await patch(url)).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { version: 2 } });
      expect((await send(url, 'GET')).headers.etag).toBe('"2"');
    });

    it('lets one who has it already get 304 and nothing else', async () => {
      const url = await make();
      for (const tags of ['"1"', 'W/"1"', '"0", "1"', '*']) {
        const { status, text, headers } = await send(url, 'GET', { 'If-None-Match': tags });
        expect([status, text]).toEqual([304, '']);
        expect(headers).toMatchObject({ etag: '"1"', 'cache-control': 'no-cache' });
        expect(headers).not.toHaveProperty('content-type');
      }
      expect(await send(url, 'HEAD', { 'If-None-Match': '"1"' })).toMatchObject({ status: 304 });
      // It sends Cache-Control: no-cache along by itself.
      expect((await fetch(url, { headers: { 'If-None-Match': '"1"' } })).status).toBe(304);
      for (const tags of ['"2"', '"11"', '1', 'W/"x"']) {
        expect((await send(url, 'GET', { 'If-None-Match': tags })).status).toBe(200);
      }
    });

    it('names a list until something in it changes', async () => {
      await make();
      const { etag = '' } = (await send(base + list, 'GET')).headers;
      expect(await send(base + list, 'GET', { 'If-None-Match': etag })).toMatchObject({ status: 304, text: '' });
      await make();
      const changed = await send(base + list, 'GET', { 'If-None-Match': etag });
      expect(changed.status).toBe(200);
      expect(changed.headers.etag).not.toBe(etag);
    });

    it('is not there where the contract has none, whatever is asked', async () => {
      const { status, headers } = await send(`${base}/health`, 'GET', { 'If-None-Match': '*' });
      expect(status).toBe(200);
      expect(headers).not.toHaveProperty('etag');
    });
  });

  describe('If-Match', () => {
    it('lets a change through when it names the version, among others or as any', async () => {
      const url = await make();
      expect((await patch(url, { 'If-Match': '"1"' })).status).toBe(200);
      expect((await patch(url, { 'If-Match': '"1" , "2"' })).status).toBe(200);
      expect((await patch(url, { 'If-Match': '*' })).body.version).toBe(4);
      expect((await send(url, 'DELETE', { 'If-Match': '"4"' })).status).toBe(204);
    });

    it('refuses a change to another version with 412, and alters nothing', async () => {
      const url = await make();
      await patch(url);
      const before = await send(url, 'GET');
      for (const tags of ['"1"', 'W/"2"', '"22"', '"999999999999999999999"', '""']) {
        for (const answer of [
          await patch(url, { 'If-Match': tags }),
          await send(url, 'DELETE', { 'If-Match': tags }),
        ]) {
          const detail = expect.stringMatching(/^If-Match does not match the current version of the (task|user)\.$/);
          expect(answer).toMatchObject({ status: 412, body: { title: 'Stale version', detail } });
        }
      }
      expect((await send(url, 'GET')).text).toBe(before.text);
    });

    it('is refused when it is no list of tags, with its place', async () => {
      const url = await make();
      for (const wrong of ['1', '"1', '"1" "2"', '*, "1"', 'w/"1"']) {
        const { status, body } = await patch(url, { 'If-Match': wrong });
        expect({ status, errors: body.errors }).toMatchObject({
          status: 400,
          errors: [{ pointer: '/headers/if-match' }],
        });
      }
      expect(await versionOf(url)).toBe(1);
    });

    it('lets one of 200 who change the same version at once win, and no other', async () => {
      const url = await make();
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          retryWhileUnavailable(() => patch(url, { 'If-Match': '"1"' }, { [subject.text]: `Won by ${index}` })),
        ),
      );
      const statuses = answers.map(({ status }) => status).sort();
      expect(statuses).toEqual([200, ...Array.from({ length: 199 }, () => 412)]);
      const winner = answers.find(({ status }) => status === 200);
      expect((await send(url, 'GET')).text).toBe(winner?.text);
      expect(await versionOf(url)).toBe(2);
    });

    it('loses no edit of those who do not ask', async () => {
      const url = await make();
      await Promise.all(Array.from({ length: 20 }, () => patch(url)));
      expect(await versionOf(url)).toBe(21);
    });
  });

  describe('PATCH', () => {
    it('waits for who is changing the same, and then changes it too', async () => {
      const url = await make();
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

    it('takes a merge patch under both of its names, and no other', async () => {
      const url = await make();
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

    it('changes what is given and leaves the rest', async () => {
      const url = await make();
      const { body: before } = await send(url, 'GET');
      const { body: after } = await patch(url, {}, { [subject.text]: 'Another' });
      expect(after).toEqual({ ...before, [subject.text]: 'Another', version: 2, updatedAt: after.updatedAt });
      expect(String(after.updatedAt) >= String(before.updatedAt)).toBe(true);
      expect((await send(url, 'GET')).body).toEqual(after);
    });

    it('makes a new version also of a change that changes nothing', async () => {
      const url = await make();
      const { body: before } = await send(url, 'GET');
      const { body: after } = await patch(url, {}, {});
      expect(after).toEqual({ ...before, version: 2, updatedAt: after.updatedAt });
    });

    it('refuses what conflicts with what there is with 409, and changes nothing', async () => {
      const url = await make();
      const before = await send(url, 'GET');
      const answer = await patch(url, { 'If-Match': '"1"' }, await subject.conflicts(base));
      expect(answer.status).toBe(409);
      expect((await send(url, 'GET')).text).toBe(before.text);
    });

    it('refuses what the contract does not allow, with its place, and changes nothing', async () => {
      const url = await make();
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

    it('answers 404 for what is not there, whatever If-Match says', async () => {
      for (const headers of [{}, { 'If-Match': '"1"' }]) expect((await patch(absent, headers)).status).toBe(404);
    });
  });

  describe('DELETE', () => {
    it('removes it, with 204; later it is not there', async () => {
      const url = await make();
      expect(await send(url, 'DELETE')).toMatchObject({ status: 204, text: '' });
      for (const answer of [await send(url, 'GET'), await patch(url), await send(url, 'DELETE')]) {
        const detail = expect.stringMatching(/^There is no (task|user) with this id\.$/);
        expect(answer).toMatchObject({ status: 404, body: { detail } });
      }
      const { rows } = await service.db.pool.query(`select from ${table} where id = $1`, [url.split('/').at(-1)]);
      expect(rows).toEqual([]);
    });

    it('answers 404 for what is not there, whatever If-Match says', async () => {
      for (const headers of [{}, { 'If-Match': '"1"' }]) {
        expect((await send(absent, 'DELETE', headers)).status).toBe(404);
      }
    });

    it('lets one of ten who delete it at once do so', async () => {
      const url = await make();
      const answers = await Promise.all(Array.from({ length: 10 }, () => send(url, 'DELETE')));
      expect(answers.filter(({ status }: TestResponse) => status === 204).length).toBe(1);
      expect(answers.every(({ status }) => status === 204 || status === 404)).toBe(true);
    });
  });
}
