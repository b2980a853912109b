/** Proves the HTTP conventions of a service: methods, paths, headers, bodies and queries. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readContract } from '@task-manager/runtime/contract/document';
import { serve, type TestService } from './harness.ts';
import { sendRaw, formatRequest } from './raw-http.ts';
import { json, newBodies, send, unknownId, type Subject } from './subject.ts';

export function testConventions(subject: Subject): void {
  const { name, create, list, prefix, table } = subject;
  const newBody = newBodies(subject);
  const valid = JSON.stringify(subject.body);
  /** The valid body with this JSON as its text field. */
  const withText = (value: string) => valid.replace(/^\{"\w+":"[^"]*"/, () => `{"${subject.text}":${value}`);
  let service: TestService;
  let base: string;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
    base = service.url + prefix;
  });
  afterAll(() => service.stop());

  async function rows(): Promise<object[]> {
    return (await service.db.pool.query<object>(`select * from ${table} order by id`)).rows;
  }

  /** Expects a problem with this status, no change in the table, and that the service handles the next request. */
  async function expectRejected(status: number, method: string, path: string, headers = {}, body?: string | Buffer) {
    const before = await rows();
    const response = await send(base + path, method, headers, body);
    expect({ status: response.status, text: response.text }).toMatchObject({ status });
    expect(response.headers['content-type']).toMatch('application/problem+json');
    expect(response.headers['x-request-id']).toBe(response.body.requestId);
    expect(response.body).toMatchObject({
      type: expect.stringMatching(new RegExp(`^${prefix}/problems/[a-z-]+$`)),
      title: expect.any(String),
      status,
      detail: expect.any(String),
      instance: new URL(base + path).pathname,
    });
    const { errors } = response.body as { errors?: { pointer: string; detail: string }[] };
    const details = errors?.map(({ pointer, detail }) => `${pointer} ${detail}`).join(', ');
    if (details) expect(response.body.detail).toBe(details.slice(0, 2000));
    expect(await rows()).toEqual(before);
    expect((await send(base + list, 'GET')).status).toBe(200);
    return response;
  }

  /** Expects a 400 with an error at this pointer. */
  async function expectInvalid(pointer: string, body: string | Buffer, headers = {}) {
    const { body: problem } = await expectRejected(400, 'POST', create, { ...json, ...headers }, body);
    expect(problem.errors).toEqual(expect.arrayContaining([expect.objectContaining({ pointer })]));
  }

  describe('methods', () => {
    it('responds to HEAD as to GET, without the body', async () => {
      const get = await send(base + list, 'GET');
      const head = await send(base + list, 'HEAD');
      expect([head.status, head.text]).toEqual([200, '']);
      expect(head.headers['content-length']).toBe(get.headers['content-length']);
      expect(head.headers['content-type']).toBe(get.headers['content-type']);
    });

    it('responds to OPTIONS with 204 and Allow', async () => {
      const { status, headers, text } = await send(base + list, 'OPTIONS');
      expect([status, text]).toEqual([204, '']);
      expect(headers.allow).toMatch(/^GET, HEAD, OPTIONS/);
      expect(headers['x-content-type-options']).toBe('nosniff');
    });

    it('returns 405 with Allow when the path does not have the method', async () => {
      for (const method of ['PUT', 'DELETE', 'TRACE', 'PROPFIND']) {
        const { headers } = await expectRejected(405, method, list);
        expect(headers.allow).toMatch(/^GET, HEAD, OPTIONS/);
      }
      expect((await expectRejected(405, 'POST', '/')).headers.allow).toBe('GET, HEAD, OPTIONS');
    });
  });

  describe('paths', () => {
    it('returns 404 for each method when the path is unknown', async () => {
      for (const method of ['GET', 'POST', 'DELETE']) await expectRejected(404, method, '/nowhere');
    });

    it('returns 404 when the case or the trailing slash differs', async () => {
      await expectRejected(404, 'GET', list.toUpperCase());
      await expectRejected(404, 'GET', `${list}/`);
    });

    it('returns 400 when percent-encoding is not UTF-8', async () => {
      await expectRejected(400, 'GET', `${list}?cursor=%ff`);
      const { body } = await expectRejected(400, 'GET', `${list}?cursor=a?b%ff`);
      expect(body.errors).toMatchObject([{ pointer: '/query', code: 'utf-8' }]);
      await expectRejected(400, 'GET', `${list}/%c3%28`);
    });

    it('returns 404 when the path traverses to another file', async () => {
      for (const file of ['package.json', 'etc/passwd', 'src/main.ts', 'pages.css']) {
        for (const up of [
          '../',
          '..%2f',
          '%2e%2e/',
          '..%5c',
          '..\\\\',
          '%2e%2e%2f',
          '..%252f',
          '%00/',
          './',
          '/',
          '/../',
        ]) {
          for (const folder of ['/', '/assets/', '/docs/']) {
            for (const depth of [1, 6]) {
              const path = prefix + folder + up.repeat(depth) + file;
              const [response] = await sendRaw(service.url, formatRequest('GET', path), 1);
              expect({ path, status: response?.status, body: response?.body }).toMatchObject({
                status: 404,
                body: expect.stringContaining('"type":'),
              });
            }
          }
        }
      }
    });

    it('serves the operations under each server of the contract', async () => {
      for (const server of new Set([prefix, ''])) {
        const { status, headers } = await send(service.url + server + create, 'POST', json, JSON.stringify(newBody()));
        expect(status).toBe(201);
        expect(headers.location).toMatch(new RegExp(`^${server}/[a-z]+/[0-9a-f-]{36}$`));
        expect((await send(service.url + String(headers.location), 'GET')).status).toBe(200);
      }
    });

    it('returns 200 from both health checks when the service is ready', async () => {
      for (const path of ['/health', '/health/live']) {
        expect(await send(base + path, 'GET')).toMatchObject({ status: 200, body: { status: 'ok' } });
      }
    });
  });

  describe('headers', () => {
    it('echoes the request id, and generates a new one when it is invalid', async () => {
      for (const [method, path] of Object.entries({ GET: list, OPTIONS: list, HEAD: '/', POST: '/nowhere' })) {
        const { headers } = await send(base + path, method, { 'X-Request-Id': 'my-request.1' });
        expect(headers['x-request-id']).toBe('my-request.1');
      }
      for (const invalid of ['a b', 'x'.repeat(129), '<script>']) {
        const { headers } = await send(base + list, 'GET', { 'X-Request-Id': invalid });
        expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
      }
    });

    it('ignores forwarding and override headers', async () => {
      const forged = {
        Forwarded: 'for=1.2.3.4;host=evil.example;proto=https',
        'X-Forwarded-For': '1.2.3.4',
        'X-Forwarded-Host': 'evil.example',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Port': '1',
        'X-Forwarded-Prefix': '/evil',
        'X-Original-URL': '/health',
        'X-Rewrite-URL': '/health',
        'X-HTTP-Method-Override': 'DELETE',
        'X-Real-IP': '1.2.3.4',
      };
      for (let index = 0; index < 3; index++) await send(base + create, 'POST', json, JSON.stringify(newBody()));
      for (const path of [`${list}?limit=1`, `${list}/x`, '/nowhere', '/', '/problems', '/openapi.json']) {
        const id = { 'X-Request-Id': 'forged' };
        const [plain, withForged] = [
          await send(base + path, 'GET', id),
          await send(base + path, 'GET', { ...id, ...forged }),
        ];
        for (const { headers } of [plain, withForged]) delete headers.date;
        expect(withForged).toEqual(plain);
      }
      const created = await send(base + create, 'POST', { ...json, ...forged }, JSON.stringify(newBody()));
      expect(created).toMatchObject({
        status: 201,
        headers: { location: expect.stringMatching(`^${prefix + list}/`) },
      });
    });

    it('sends the security headers, and no X-Powered-By', async () => {
      const { headers } = await send(base + list, 'GET');
      expect(headers).not.toHaveProperty('x-powered-by');
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'SAMEORIGIN',
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      });
    });

    it('returns 406 when Accept allows no media type of the operation', async () => {
      await expectRejected(406, 'GET', list, { Accept: 'text/html' });
      await expectRejected(406, 'POST', create, { ...json, Accept: 'application/xml' }, valid);
      await expectRejected(406, 'GET', list, { Accept: 'application/json;q=0' });
      for (const Accept of ['*/*', 'application/*', 'text/html, application/json;q=0.5']) {
        expect((await send(base + list, 'GET', { Accept })).status).toBe(200);
      }
    });

    it('returns 415 when the media type, charset or encoding is not supported', async () => {
      for (const type of [
        'text/plain',
        'application/xml',
        'application/json; charset=utf-16',
        'application/json; charset=utf',
        'application/jsonp',
      ]) {
        await expectRejected(415, 'POST', create, { 'Content-Type': type }, valid);
      }
      await expectRejected(415, 'POST', create, {}, valid);
      await expectRejected(415, 'POST', create, { ...json, 'Content-Encoding': 'compress' }, valid);
    });

    it('reads a JSON body in each spelling of its media type, and when it is compressed', async () => {
      const charsets = ['UTF-8', '"utf-8"', 'utf8', '"UTF8"'].map((charset) => `application/json; charset=${charset}`);
      for (const type of ['Application/JSON', 'application/json;charset=utf8', ...charsets]) {
        expect((await send(base + create, 'POST', { 'Content-Type': type }, JSON.stringify(newBody()))).status).toBe(
          201,
        );
      }
      const compressed = gzipSync(JSON.stringify(newBody()));
      expect((await send(base + create, 'POST', { ...json, 'Content-Encoding': 'gzip' }, compressed)).status).toBe(201);
    });

    it('returns 400 when Host is missing', async () => {
      const { body } = await expectRejected(400, 'GET', list, { 'X-No-Host': 'true' });
      expect(body.errors).toMatchObject([{ pointer: '/headers/host' }]);
    });
  });

  describe('bodies', () => {
    it('returns 413 when the body is too large, before or after decompression', async () => {
      const large = JSON.stringify({ ...subject.body, [subject.text]: 'x'.repeat(2_000_000) });
      await expectRejected(413, 'POST', create, json, large);
      await expectRejected(
        413,
        'POST',
        create,
        { ...json, 'Content-Encoding': 'gzip' },
        gzipSync(' '.repeat(20_000_000)),
      );
    });

    it('returns 400 when the body is not JSON', async () => {
      for (const body of ['', '{', '{"a":}', "{'a':1}", 'NaN', `${valid}x`, `{"${subject.text}":"\n"}`]) {
        await expectInvalid('/body', body);
      }
      await expectInvalid('/body', valid, { 'Content-Encoding': 'gzip' });
    });

    it('returns 400 when the body is not a JSON object', async () => {
      for (const body of ['null', '[]', `[${valid}]`, '"text"', '1', 'true']) await expectInvalid('/body', body);
    });

    it('returns 400 when a field has the wrong type, is missing or is unknown', async () => {
      for (const wrong of [1, null, true, [], {}, ['x']]) {
        await expectInvalid(`/body/${subject.text}`, JSON.stringify({ ...subject.body, [subject.text]: wrong }));
      }
      await expectInvalid(`/body/${subject.text}`, JSON.stringify({ ...subject.body, [subject.text]: undefined }));
      for (const unknown of ['', 'id', 'constructor', 'toString', 'hasOwnProperty']) {
        await expectInvalid(`/body/${unknown}`, JSON.stringify({ ...subject.body, [unknown]: 'x' }));
      }
      if (subject.batch) {
        const { body } = await send(
          base + subject.batch,
          'POST',
          json,
          JSON.stringify({ items: [{ ...subject.body, '': 1 }] }),
        );
        expect(body).toMatchObject({ status: 400, errors: [{ pointer: '/body/items/0/' }] });
      }
    });

    it('returns 400 when a field would pollute a prototype, at each depth', async () => {
      const poisons = ['"__proto__":{"admin":true}', '"constructor":{"prototype":{"admin":true}}', '"prototype":1'];
      for (const poison of poisons) {
        const poisoned = valid.replace('{', `{${poison},`);
        const field = poison.slice(1, poison.indexOf('"', 1));
        await expectInvalid(`/body/${field}`, poisoned);
        await expectInvalid(`/body/${subject.text}`, valid.replace(/("\w+":)"[^"]*"/, `$1{${poison}}`));
        const { body } = await expectRejected(400, 'GET', `${list}?${field}=1&limit=1`);
        expect(body.errors).toMatchObject([{ pointer: `/query/${field}` }]);
        if (subject.batch) {
          const response = await send(base + subject.batch, 'POST', json, `{"items":[${poisoned}]}`);
          expect(response.body).toMatchObject({ status: 400, errors: [{ pointer: `/body/items/0/${field}` }] });
        }
      }
      expect({}).not.toHaveProperty('admin');
    });

    it('returns 400 with the pointer when an object has a name twice', async () => {
      const own = `"${subject.text}":"b"`;
      const escaped = own.replace(/^"./, (start) => `"\\u00${start.charCodeAt(1).toString(16)}`);
      for (const [body, pointer] of [
        [valid.replace('{', `{${own},`), `/${subject.text}`],
        [valid.replace('{', `{${escaped},`), `/${subject.text}`],
        [valid.replace('}', `,"unknown":[{},{"a":1,"a":2}]}`), '/unknown/1/a'],
        [valid.replace('}', `,"__proto__":1,"__proto__":1}`), '/__proto__'],
        [`{"a~/":${'['.repeat(100_000)}${']'.repeat(100_000)},"a~/":1}`, '/a~0~1'],
      ] as const) {
        const { body: problem } = await expectRejected(400, 'POST', create, json, body);
        expect(problem.errors).toEqual([
          { pointer: `/body${pointer}`, detail: 'is a duplicate name', code: 'duplicate' },
        ]);
        if (subject.batch) {
          const { body: many } = await expectRejected(400, 'POST', subject.batch, json, `{"items":[${valid},${body}]}`);
          expect(many.errors).toMatchObject([{ pointer: `/body/items/1${pointer}` }]);
        }
      }
      const value = { ...newBody(), [subject.text]: 'a: b, "c": d' };
      expect((await send(base + create, 'POST', json, JSON.stringify(value))).body).toMatchObject(value);
    });

    it('escapes the name of an unknown field in its JSON Pointer', async () => {
      for (const [field, pointer] of Object.entries({
        'a/b': 'a~1b',
        '~': '~0',
        '~1': '~01',
        '/': '~1',
        'a b': 'a b',
      })) {
        await expectInvalid(`/body/${pointer}`, JSON.stringify({ ...subject.body, [field]: 1 }));
        const { body } = await expectRejected(400, 'GET', `${list}?${encodeURIComponent(field)}=1`);
        expect(body.errors).toMatchObject([{ pointer: `/query/${pointer}` }]);
      }
    });

    it('keeps the problem within the limits of the contract when many fields are invalid', async () => {
      const long = await expectRejected(
        400,
        'POST',
        create,
        json,
        JSON.stringify({ ...subject.body, ['x'.repeat(30_000)]: 1 }),
      );
      expect(long.body.errors).toHaveLength(1);
      const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`field${index}/`, 1]));
      const { body } = await expectRejected(400, 'POST', create, json, JSON.stringify(many));
      expect(body.errors).toHaveLength(100);
    });

    it('returns 400 when PostgreSQL could not store the text unchanged', async () => {
      for (const text of ['"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"'])
        await expectInvalid(`/body/${subject.text}`, withText(text));
      for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80]]) {
        await expectInvalid('/body', Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]));
      }
    });

    it('explains each error in the problem', async () => {
      const at = (pointer: string, detail: unknown, code: string) => [{ pointer, detail, code }];
      for (const [body, errors] of [
        ['', at('/body', 'is empty', 'json')],
        ['{', at('/body', expect.stringMatching(/^is not JSON: \w/), 'json')],
        [Buffer.from([0x22, 0xff, 0x22]), at('/body', 'is not UTF-8', 'utf-8')],
        [withText('"a\\u0000b"'), at(`/body/${subject.text}`, 'must not contain the NUL character', 'nul')],
        [withText('1'), at(`/body/${subject.text}`, 'must be string', 'type')],
        [`{${valid.slice(1, -1)},"a/b":1}`, at('/body/a~1b', 'is not a valid field name', 'additionalProperties')],
        [
          withText('['.repeat(99) + ']'.repeat(99)),
          expect.arrayContaining(
            at(expect.any(String) as never, expect.stringMatching(/^is nested deeper than \d+ levels$/), 'depth'),
          ),
        ],
      ] as const) {
        expect((await expectRejected(400, 'POST', create, json, body)).body.errors).toEqual(errors);
      }
      const { body } = await expectRejected(400, 'GET', `${list}?cursor=%ff&limit=1e1`);
      expect(body.errors).toEqual(at('/query', 'has percent-encoding that is not UTF-8', 'utf-8'));
      const { body: unread } = await expectRejected(400, 'GET', `${list}?limit=1e1`);
      expect(unread.errors).toEqual(at('/query/limit', 'must be integer', 'type'));
      const { body: nowhere } = await expectRejected(400, 'GET', list, { 'X-No-Host': 'true' });
      expect(nowhere.errors).toEqual(at('/headers/host', 'is missing', 'required'));
      expect((await expectRejected(405, 'PUT', list)).body.detail).toMatch(
        /^Method not allowed\. Allowed: GET, HEAD, OPTIONS/,
      );
    });

    it('counts characters, not UTF-16 code units', async () => {
      const sized = (length: number) => JSON.stringify({ ...newBody(), [subject.text]: '🥛'.repeat(length) });
      const created = await send(base + create, 'POST', json, sized(200));
      expect(created).toMatchObject({ status: 201, body: { [subject.text]: '🥛'.repeat(200) } });
      await expectInvalid(`/body/${subject.text}`, sized(201));
    });

    it.each([
      ['white space', ' \t\r\n\u0085\u00a0\u1680\u2003\u2028\u202f\u3000'],
      ['characters of zero width', '\u00ad\u034f\u061c\u180e\u200b\u200d\u200e\u2060\u2063\u2066\ufe0f\ufeff'],
      ['fillers', '\u115f\u2800\u3164\uffa0'],
      ['control characters', '\u0001\u001f\u007f\u009f'],
    ])('returns 400 when the text is only %s, and accepts them next to a letter', async (_name, characters) => {
      const { headers } = await send(base + create, 'POST', json, JSON.stringify(newBody()));
      const url = String(headers.location).slice(prefix.length);
      const pointer = `/body/${subject.text}`;
      for (const blank of [characters, ...Array.from(characters)]) {
        const body = JSON.stringify({ ...newBody(), [subject.text]: blank });
        const { body: problem } = await expectRejected(400, 'POST', create, json, body);
        expect(problem.errors).toMatchObject([{ pointer, code: 'pattern' }]);
        const { body: unchanged } = await expectRejected(
          400,
          'PATCH',
          url,
          json,
          JSON.stringify({ [subject.text]: blank }),
        );
        expect(unchanged.errors).toMatchObject([{ pointer, code: 'pattern' }]);
      }
      const visible = { ...newBody(), [subject.text]: `${characters}x${characters}` };
      expect((await send(base + create, 'POST', json, JSON.stringify(visible))).body).toMatchObject(visible);
    });

    it('returns and updates a resource whose text is blank since an earlier version', async () => {
      const { body: created } = await send(base + create, 'POST', json, JSON.stringify(newBody()));
      const url = `${base}${list}/${String(created.id)}`;
      await service.db.pool.query(`update ${table} set ${subject.text} = $2 where id = $1`, [created.id, ' \u200b']);
      const old = { ...created, [subject.text]: ' \u200b' };
      expect(await send(url, 'GET')).toMatchObject({ status: 200, body: old });
      expect((await send(`${base}${list}?limit=1`, 'GET')).body.items).toEqual([old]);
      const changes = { ...newBody(), [subject.text]: undefined };
      const updated = await send(url, 'PATCH', json, JSON.stringify(changes));
      expect(updated).toMatchObject({ status: 200, body: { ...changes, [subject.text]: ' \u200b', version: 2 } });
    });

    it('ignores the body when the operation has none', async () => {
      expect((await send(base + list, 'GET', { ...json, 'Content-Length': '1' }, '{')).status).toBe(200);
    });

    it('returns 400 when the body is nested too deeply', async () => {
      const deep = `{"${subject.text}":${'['.repeat(40_000)}${']'.repeat(40_000)}}`;
      await expectRejected(400, 'POST', create, json, deep);
    });
  });

  describe('queries', () => {
    it('returns 400 when a parameter is unknown, repeated or invalid', async () => {
      for (const query of [
        'limt=1',
        'limit=1&limit=2',
        'limit=',
        'limit=1e1',
        'limit=0x10',
        'limit=%00',
        'cursor=%20',
      ]) {
        const { body } = await expectRejected(400, 'GET', `${list}?${query}`);
        expect(body.errors).toEqual([expect.objectContaining({ pointer: `/query/${query.split('=', 1)[0]}` })]);
      }
    });

    it('returns 400 with the violated rule when a known parameter is empty', async () => {
      const { operations } = readContract(new URL(`../../../generated/${name}.yaml`, import.meta.url));
      for (const { path, parameters } of operations) {
        for (const { name: parameter } of parameters.filter((each) => each.in === 'query')) {
          const { body } = await expectRejected(400, 'GET', `${path}?${parameter}=`);
          const errors = body.errors as { pointer: string; code: string; detail: string }[];
          expect(new Set(errors.map(({ pointer }) => pointer))).toEqual(new Set([`/query/${parameter}`]));
          for (const { code } of errors) expect(['enum', 'format', 'minLength', 'pattern', 'type']).toContain(code);
        }
      }
      const { body } = await expectRejected(400, 'GET', `${list}?=1`);
      expect(body.errors).toMatchObject([{ pointer: '/query/', code: 'unknown' }]);
    });

    it('returns 400 with a pointer to the path parameter when the id is invalid', async () => {
      const { body } = await expectRejected(400, 'GET', `${list}/1`);
      expect(body.errors).toContainEqual(
        expect.objectContaining({ pointer: expect.stringMatching(/^\/path\/\w+Id$/) }),
      );
    });

    it('accepts an id in upper case, and returns it in lower case', async () => {
      const { body: created } = await send(base + create, 'POST', json, JSON.stringify(newBody()));
      const id = String(created.id);
      for (const given of [id.toUpperCase(), `%${id.charCodeAt(0).toString(16)}${id.slice(1).toUpperCase()}`]) {
        const url = `${base}${list}/${given}`;
        expect(await send(url, 'GET')).toMatchObject({ status: 200, body: { id } });
        expect((await send(url, 'HEAD', { 'If-None-Match': '*' })).status).toBe(304);
        const changes = JSON.stringify({ [subject.text]: `Changed by ${given}` });
        expect(await send(url, 'PATCH', json, changes)).toMatchObject({ status: 200, body: { id } });
      }
      const { body: missing } = await expectRejected(404, 'GET', `${list}/${unknownId.toUpperCase()}`);
      expect(missing.detail).toMatch(/^There is no/);
      expect((await send(`${base}${list}/${id.toUpperCase()}`, 'DELETE')).status).toBe(204);
      await expectRejected(404, 'GET', `${list}/${id}`);
      for (const invalid of [`urn:uuid:${id}`, id.replaceAll('-', ''), `{${id}}`, `${id.slice(1)}g`]) {
        await expectRejected(400, 'GET', `${list}/${invalid}`);
      }
    });

    it('rejects numbers that are too large without rounding them', async () => {
      for (const number of [2n ** 31n, 2n ** 32n + 1n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n + 1n, 10n ** 400n]) {
        for (const signed of [number, -number]) {
          const { body } = await expectRejected(400, 'GET', `${list}?limit=${signed}`);
          expect(body.errors).toEqual(expect.arrayContaining([expect.objectContaining({ pointer: '/query/limit' })]));
        }
        const created = await send(base + create, 'POST', json, JSON.stringify(newBody()));
        const path = `${list}/${created.body.id as string}`;
        await expectRejected(412, 'DELETE', path, { 'If-Match': `"${number}"` });
        expect((await send(base + path, 'GET')).body.version).toBe(1);
      }
    });
  });
}
