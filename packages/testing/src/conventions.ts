/** The HTTP conventions of every service, as tests that each service runs. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { serve, type TestService } from './harness.ts';
import { sendRaw, formatRequest } from './raw-http.ts';
import { json, newBodies, send, type Subject } from './subject.ts';

export function testConventions(subject: Subject): void {
  const { name, create, list, prefix, table } = subject;
  const newBody = newBodies(subject);
  const valid = JSON.stringify(subject.body);
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

  /** Sends what must be refused, and sees that it was: by a problem, with nothing written, and the next one served. */
  async function refused(status: number, method: string, path: string, headers = {}, body?: string | Buffer) {
    const before = await rows();
    const answer = await send(base + path, method, headers, body);
    expect({ status: answer.status, text: answer.text }).toMatchObject({ status });
    expect(answer.headers['content-type']).toMatch('application/problem+json');
    expect(answer.headers['x-request-id']).toBe(answer.body.requestId);
    expect(answer.body).toMatchObject({
      type: expect.stringMatching(new RegExp(`^${prefix}/problems/[a-z-]+$`)),
      title: expect.any(String),
      status,
      detail: expect.any(String),
      instance: new URL(base + path).pathname,
    });
    const { errors } = answer.body as { errors?: { pointer: string; detail: string }[] };
    const said = errors?.map(({ pointer, detail }) => `${pointer} ${detail}`).join(', ');
    if (said) expect(answer.body.detail).toBe(said.slice(0, 2000));
    expect(await rows()).toEqual(before);
    expect((await send(base + list, 'GET')).status).toBe(200);
    return answer;
  }

  /** What is refused with 400 names its place. */
  async function refusedAt(pointer: string, body: string | Buffer, headers = {}) {
    const { body: problem } = await refused(400, 'POST', create, { ...json, ...headers }, body);
    expect(problem.errors).toEqual(expect.arrayContaining([expect.objectContaining({ pointer })]));
  }

  describe('methods', () => {
    it('answers HEAD as GET, without the body', async () => {
      const get = await send(base + list, 'GET');
      const head = await send(base + list, 'HEAD');
      expect([head.status, head.text]).toEqual([200, '']);
      expect(head.headers['content-length']).toBe(get.headers['content-length']);
      expect(head.headers['content-type']).toBe(get.headers['content-type']);
    });

    it('answers OPTIONS with 204 and Allow', async () => {
      const { status, headers, text } = await send(base + list, 'OPTIONS');
      expect([status, text]).toEqual([204, '']);
      expect(headers.allow).toMatch(/^GET, HEAD, OPTIONS/);
      expect(headers['x-content-type-options']).toBe('nosniff');
    });

    it('refuses a method that the path does not have with 405 and Allow', async () => {
      for (const method of ['PUT', 'DELETE', 'TRACE', 'PROPFIND']) {
        const { headers } = await refused(405, method, list);
        expect(headers.allow).toMatch(/^GET, HEAD, OPTIONS/);
      }
      expect((await refused(405, 'POST', '/')).headers.allow).toBe('GET, HEAD, OPTIONS');
    });
  });

  describe('paths', () => {
    it('refuses an unknown one with 404, whatever the method', async () => {
      for (const method of ['GET', 'POST', 'DELETE']) await refused(404, method, '/nowhere');
    });

    it('takes case and the last slash seriously', async () => {
      await refused(404, 'GET', list.toUpperCase());
      await refused(404, 'GET', `${list}/`);
    });

    it('refuses an escape that is not UTF-8', async () => {
      await refused(400, 'GET', `${list}?cursor=%ff`);
      const { body } = await refused(400, 'GET', `${list}?cursor=a?b%ff`);
      expect(body.errors).toMatchObject([{ pointer: '/query', code: 'utf-8' }]);
      await refused(400, 'GET', `${list}/%c3%28`);
    });

    it('serves no file but its own', async () => {
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
              const [answer] = await sendRaw(service.url, formatRequest('GET', path), 1);
              expect({ path, status: answer?.status, body: answer?.body }).toMatchObject({
                status: 404,
                body: expect.stringContaining('"type":'),
              });
            }
          }
        }
      }
    });

    it('answers under each server of the contract', async () => {
      for (const server of new Set([prefix, ''])) {
        const { status, headers } = await send(service.url + server + create, 'POST', json, JSON.stringify(newBody()));
        expect(status).toBe(201);
        expect(headers.location).toMatch(new RegExp(`^${server}/[a-z]+/[0-9a-f-]{36}$`));
        expect((await send(service.url + String(headers.location), 'GET')).status).toBe(200);
      }
    });

    it('has the health and nothing else without a database', async () => {
      for (const path of ['/health', '/health/live']) {
        expect(await send(base + path, 'GET')).toMatchObject({ status: 200, body: { status: 'ok' } });
      }
    });
  });

  describe('headers', () => {
    it('answers with the request id that it was given, or a new one when that does not fit', async () => {
      for (const [method, path] of Object.entries({ GET: list, OPTIONS: list, HEAD: '/', POST: '/nowhere' })) {
        const { headers } = await send(base + path, method, { 'X-Request-Id': 'my-request.1' });
        expect(headers['x-request-id']).toBe('my-request.1');
      }
      for (const unfit of ['a b', 'x'.repeat(129), '<script>']) {
        const { headers } = await send(base + list, 'GET', { 'X-Request-Id': unfit });
        expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
      }
    });

    it('believes nobody who says on whose behalf they ask', async () => {
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
        const [honest, other] = [
          await send(base + path, 'GET', id),
          await send(base + path, 'GET', { ...id, ...forged }),
        ];
        for (const { headers } of [honest, other]) delete headers.date;
        expect(other).toEqual(honest);
      }
      const made = await send(base + create, 'POST', { ...json, ...forged }, JSON.stringify(newBody()));
      expect(made).toMatchObject({ status: 201, headers: { location: expect.stringMatching(`^${prefix + list}/`) } });
    });

    it('says nothing of what it is made of, and locks down what a browser may do with the answer', async () => {
      const { headers } = await send(base + list, 'GET');
      expect(headers).not.toHaveProperty('x-powered-by');
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'SAMEORIGIN',
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      });
    });

    it('refuses an Accept that it cannot meet with 406', async () => {
      await refused(406, 'GET', list, { Accept: 'text/html' });
      await refused(406, 'POST', create, { ...json, Accept: 'application/xml' }, valid);
      await refused(406, 'GET', list, { Accept: 'application/json;q=0' });
      for (const Accept of ['*/*', 'application/*', 'text/html, application/json;q=0.5']) {
        expect((await send(base + list, 'GET', { Accept })).status).toBe(200);
      }
    });

    it('refuses a body of another kind with 415', async () => {
      for (const type of ['text/plain', 'application/xml', 'application/json; charset=utf-16', 'application/jsonp']) {
        await refused(415, 'POST', create, { 'Content-Type': type }, valid);
      }
      await refused(415, 'POST', create, {}, valid);
      await refused(415, 'POST', create, { ...json, 'Content-Encoding': 'compress' }, valid);
    });

    it('reads JSON under each of its names, compressed too', async () => {
      for (const type of ['application/json; charset=UTF-8', 'Application/JSON', 'application/json; charset="utf-8"']) {
        expect((await send(base + create, 'POST', { 'Content-Type': type }, JSON.stringify(newBody()))).status).toBe(
          201,
        );
      }
      const compressed = gzipSync(JSON.stringify(newBody()));
      expect((await send(base + create, 'POST', { ...json, 'Content-Encoding': 'gzip' }, compressed)).status).toBe(201);
    });

    it('refuses a request without a Host', async () => {
      const { body } = await refused(400, 'GET', list, { 'X-No-Host': 'true' });
      expect(body.errors).toMatchObject([{ pointer: '/headers/host' }]);
    });
  });

  describe('bodies', () => {
    it('refuses one that is too large with 413, unpacked or packed', async () => {
      const large = JSON.stringify({ ...subject.body, [subject.text]: 'x'.repeat(2_000_000) });
      await refused(413, 'POST', create, json, large);
      await refused(413, 'POST', create, { ...json, 'Content-Encoding': 'gzip' }, gzipSync(' '.repeat(20_000_000)));
    });

    it('refuses what is not JSON', async () => {
      for (const body of ['', '{', '{"a":}', "{'a':1}", 'NaN', `${valid}x`, `{"${subject.text}":"\n"}`]) {
        await refusedAt('/body', body);
      }
      await refusedAt('/body', valid, { 'Content-Encoding': 'gzip' });
    });

    it('refuses JSON that is no object', async () => {
      for (const body of ['null', '[]', `[${valid}]`, '"text"', '1', 'true']) await refusedAt('/body', body);
    });

    it('refuses a wrong type, a missing field and an unknown one', async () => {
      for (const wrong of [1, null, true, [], {}, ['x']]) {
        await refusedAt(`/body/${subject.text}`, JSON.stringify({ ...subject.body, [subject.text]: wrong }));
      }
      await refusedAt(`/body/${subject.text}`, JSON.stringify({ ...subject.body, [subject.text]: undefined }));
      for (const unknown of ['', 'id', 'constructor', 'toString', 'hasOwnProperty']) {
        await refusedAt(`/body/${unknown}`, JSON.stringify({ ...subject.body, [unknown]: 'x' }));
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

    it('refuses a field that would reach what all objects have in common, however deep', async () => {
      const poisons = ['"__proto__":{"admin":true}', '"constructor":{"prototype":{"admin":true}}', '"prototype":1'];
      for (const poison of poisons) {
        const poisoned = valid.replace('{', `{${poison},`);
        const field = poison.slice(1, poison.indexOf('"', 1));
        await refusedAt(`/body/${field}`, poisoned);
        await refusedAt(`/body/${subject.text}`, valid.replace(/("\w+":)"[^"]*"/, `$1{${poison}}`));
        const { body } = await refused(400, 'GET', `${list}?${field}=1&limit=1`);
        expect(body.errors).toMatchObject([{ pointer: `/query/${field}` }]);
        if (subject.batch) {
          const answer = await send(base + subject.batch, 'POST', json, `{"items":[${poisoned}]}`);
          expect(answer.body).toMatchObject({ status: 400, errors: [{ pointer: `/body/items/0/${field}` }] });
        }
      }
      expect({}).not.toHaveProperty('admin');
    });

    it('names the place of an unknown field as a JSON Pointer, whatever it is called', async () => {
      for (const [field, pointer] of Object.entries({
        'a/b': 'a~1b',
        '~': '~0',
        '~1': '~01',
        '/': '~1',
        'a b': 'a b',
      })) {
        await refusedAt(`/body/${pointer}`, JSON.stringify({ ...subject.body, [field]: 1 }));
        const { body } = await refused(400, 'GET', `${list}?${encodeURIComponent(field)}=1`);
        expect(body.errors).toMatchObject([{ pointer: `/query/${pointer}` }]);
      }
    });

    it('answers within the bounds of the contract, however much is wrong', async () => {
      const long = await refused(
        400,
        'POST',
        create,
        json,
        JSON.stringify({ ...subject.body, ['x'.repeat(30_000)]: 1 }),
      );
      expect(long.body.errors).toHaveLength(1);
      const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`field${index}/`, 1]));
      const { body } = await refused(400, 'POST', create, json, JSON.stringify(many));
      expect(body.errors).toHaveLength(100);
    });

    it('refuses text that could not be stored as it is', async () => {
      const withText = (text: string) => `{${valid.slice(1, -1)},"${subject.text}":"${text}"}`;
      for (const text of ['a\\u0000b', '\\ud800', '\\udc00\\ud800'])
        await refusedAt(`/body/${subject.text}`, withText(text));
      for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80]]) {
        await refusedAt('/body', Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]));
      }
    });

    it('says of each what is wrong with it', async () => {
      const at = (pointer: string, detail: unknown, code: string) => [{ pointer, detail, code }];
      const text = (value: string) => `{${valid.slice(1, -1)},"${subject.text}":${value}}`;
      for (const [body, errors] of [
        ['', at('/body', 'is empty', 'json')],
        ['{', at('/body', expect.stringMatching(/^is not JSON: \w/), 'json')],
        [Buffer.from([0x22, 0xff, 0x22]), at('/body', 'is not UTF-8', 'utf-8')],
        [text('"a\\u0000b"'), at(`/body/${subject.text}`, 'must not contain the NUL character', 'nul')],
        [text('1'), at(`/body/${subject.text}`, 'must be string', 'type')],
        [`{${valid.slice(1, -1)},"a/b":1}`, at('/body/a~1b', 'is not a valid field name', 'additionalProperties')],
        [
          text('['.repeat(99) + ']'.repeat(99)),
          expect.arrayContaining(
            at(expect.any(String) as never, expect.stringMatching(/^is nested deeper than \d+ levels$/), 'depth'),
          ),
        ],
      ] as const) {
        expect((await refused(400, 'POST', create, json, body)).body.errors).toEqual(errors);
      }
      const { body } = await refused(400, 'GET', `${list}?cursor=%ff&limit=1e1`);
      expect(body.errors).toEqual(at('/query', 'has percent-encoding that is not UTF-8', 'utf-8'));
      const { body: unread } = await refused(400, 'GET', `${list}?limit=1e1`);
      expect(unread.errors).toEqual(at('/query/limit', 'must be integer', 'type'));
      const { body: nowhere } = await refused(400, 'GET', list, { 'X-No-Host': 'true' });
      expect(nowhere.errors).toEqual(at('/headers/host', 'is missing', 'required'));
      expect((await refused(405, 'PUT', list)).body.detail).toMatch(
        /^Method not allowed\. Allowed: GET, HEAD, OPTIONS/,
      );
    });

    it('counts characters, not the units of an encoding', async () => {
      const withText = (text: string) => JSON.stringify({ ...newBody(), [subject.text]: text });
      const made = await send(base + create, 'POST', json, withText('🥛'.repeat(200)));
      expect(made).toMatchObject({ status: 201, body: { [subject.text]: '🥛'.repeat(200) } });
      await refusedAt(`/body/${subject.text}`, withText('🥛'.repeat(201)));
    });

    it('does not read one where none is expected', async () => {
      expect((await send(base + list, 'GET', { ...json, 'Content-Length': '1' }, '{')).status).toBe(200);
    });

    it('refuses deep nesting at once', async () => {
      const deep = `{"${subject.text}":${'['.repeat(40_000)}${']'.repeat(40_000)}}`;
      await refused(400, 'POST', create, json, deep);
    });
  });

  describe('queries', () => {
    it('refuses an unknown parameter, and a known one twice', async () => {
      for (const query of [
        'limt=1',
        'limit=1&limit=2',
        'limit=',
        'limit=1e1',
        'limit=0x10',
        'limit=%00',
        'cursor=%20',
      ]) {
        const { body } = await refused(400, 'GET', `${list}?${query}`);
        expect(body.errors).toEqual([expect.objectContaining({ pointer: `/query/${query.split('=', 1)[0]}` })]);
      }
    });

    it('refuses an id that is none, with its place in the path', async () => {
      const { body } = await refused(400, 'GET', `${list}/1`);
      expect(body.errors).toContainEqual(
        expect.objectContaining({ pointer: expect.stringMatching(/^\/path\/\w+Id$/) }),
      );
    });

    it('refuses numbers that are too large, and alters none', async () => {
      for (const number of [2n ** 31n, 2n ** 32n + 1n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n + 1n, 10n ** 400n]) {
        for (const signed of [number, -number]) {
          const { body } = await refused(400, 'GET', `${list}?limit=${signed}`);
          expect(body.errors).toEqual(expect.arrayContaining([expect.objectContaining({ pointer: '/query/limit' })]));
        }
        const made = await send(base + create, 'POST', json, JSON.stringify(newBody()));
        const path = `${list}/${made.body.id as string}`;
        await refused(412, 'DELETE', path, { 'If-Match': `"${number}"` });
        expect((await send(base + path, 'GET')).body.version).toBe(1);
      }
    });
  });
}
