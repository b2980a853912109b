/** What a service makes of bytes that are no request, or no more than half of one, as promises (RFC 9110, RFC 9112). */
import { once } from 'node:events';
import { createGzip } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { timeouts } from '@task-manager/runtime/http/server';
import { serve, type TestService } from './harness.ts';
import { until } from './processes.ts';
import { readResponses, closed, sendRaw, openSocket, formatRequest, type RawResponse } from './raw-http.ts';
import { json, newBodies, send, type Subject } from './subject.ts';

export function testFraming(subject: Subject): void {
  const { name, prefix, table } = subject;
  const create = prefix + subject.create;
  const list = prefix + subject.list;
  const newBody = newBodies(subject);
  let service: TestService;

  beforeAll(async () => {
    service = await serve(name, subject.handlers);
  });
  afterAll(() => service.stop());

  async function rows(): Promise<number> {
    return (await service.db.pool.query(`select from ${table}`)).rows.length;
  }

  function creation(headers = {}): string {
    return formatRequest('POST', create, { ...json, ...headers }, JSON.stringify(newBody()));
  }

  function problemIn({ status, headers, body }: RawResponse) {
    const problem = JSON.parse(body) as Record<string, unknown>;
    expect(headers).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': problem.requestId,
    });
    expect(problem).toMatchObject({
      type: expect.stringMatching(new RegExp(`^(${prefix})?/problems/[a-z-]+$`)),
      title: expect.any(String),
      status,
      detail: expect.any(String),
      instance: expect.stringMatching(/^\//),
    });
    return problem;
  }

  /** Sends what must be refused, with a request hidden behind it: one problem comes back, and nothing was done. */
  async function refused(status: number, bytes: string) {
    const before = await rows();
    const answers = await sendRaw(service.url, bytes + creation());
    expect({ bytes, statuses: answers.map((each) => each.status) }).toEqual({ bytes, statuses: [status] });
    const [answer] = answers as [RawResponse];
    const problem = problemIn(answer);
    expect(answer.headers.connection).toBe('close');
    expect(await rows()).toBe(before);
    expect((await send(service.url + list, 'GET')).status).toBe(200);
    return { problem, headers: answer.headers };
  }

  const chunked = formatRequest('POST', create, { ...json, 'Transfer-Encoding': 'chunked' });
  const lengths = (...lines: string[]) =>
    `POST ${create} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${lines.join('\r\n')}\r\n\r\n{}`;
  const head = (...lines: string[]) => `GET ${list} HTTP/1.1\r\nHost: a\r\n${lines.join('\r\n')}\r\n\r\n`;

  describe('framing', () => {
    it.each([
      ['a length and chunks', lengths('Content-Length: 2', 'Transfer-Encoding: chunked')],
      ['chunks and a length', lengths('Transfer-Encoding: chunked', 'Content-Length: 2')],
      ['two lengths', lengths('Content-Length: 2', 'Content-Length: 3')],
      ['one length twice', lengths('Content-Length: 2', 'Content-Length: 2')],
      ['a list of lengths', lengths('Content-Length: 2, 2')],
      ['a negative length', lengths('Content-Length: -2')],
      ['a length with a sign', lengths('Content-Length: +2')],
      ['a hexadecimal length', lengths('Content-Length: 0x2')],
      ['a length past 2^64', lengths('Content-Length: 18446744073709551618')],
      ['no length', lengths('Content-Length:')],
      ['another last encoding than chunked', lengths('Transfer-Encoding: chunked, identity')],
      ['an encoding that is none', lengths('Transfer-Encoding: xchunked')],
      ['an encoding hidden by a control character', lengths('Transfer-Encoding: \x0bchunked')],
      ['an encoding twice', lengths('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')],
    ])('refuses a body with %s', async (_what, bytes) => {
      await refused(400, bytes);
    });

    it.each([
      ['no number', 'zz\r\n{}\r\n0\r\n\r\n'],
      ['a negative number', '-2\r\n{}\r\n0\r\n\r\n'],
      ['a number with 0x', '0x2\r\n{}\r\n0\r\n\r\n'],
      ['a number past 2^64', 'fffffffffffffffff\r\n{}\r\n0\r\n\r\n'],
      ['more bytes than its number', '1\r\n{}\r\n0\r\n\r\n'],
      ['a bare line feed', '2\n{}\n0\n\n'],
    ])('refuses a chunk with %s', async (_what, chunks) => {
      const { problem } = await refused(400, chunked + chunks);
      expect(problem.instance).toBe(create);
    });

    it.each([
      ['bare line feeds', head().replaceAll('\r\n', '\n')],
      ['a bare carriage return', head('X-A: b\rX-C: d')],
      ['a folded line', head('X-A: b', ' c')],
      ['a space before a colon', head('X-A : b')],
      ['no colon', head('X-A')],
      ['no name', head(': b')],
      ['NUL', head('X-A: b\0c')],
      ['a space before the first name', `GET ${list} HTTP/1.1\r\n Host: a\r\n\r\n`],
    ])('refuses headers with %s', async (_what, bytes) => {
      await refused(400, bytes);
    });

    it('refuses two hosts', async () => {
      const [answer] = await sendRaw(service.url, head('hOST: b'), 1);
      expect(problemIn(answer as RawResponse)).toMatchObject({ status: 400, instance: list });
    });

    it.each([
      ['nonsense', 'NONSENSE\r\n\r\n'],
      ['a space in its path', head().replace(list, `${list} x`)],
      ['a control character in its path', head().replace(list, `${list}\x01`)],
      ['no version', head().replace(' HTTP/1.1', '')],
      ['another protocol', head().replace('HTTP/1.1', 'ICE/1.1')],
      ['HTTP/2', head().replace('HTTP/1.1', 'HTTP/2.0')],
      ['a version to come', head().replace('HTTP/1.1', 'HTTP/1.9')],
      ['the beginning of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ])('refuses a request line with %s', async (_what, bytes) => {
      await refused(400, bytes);
    });

    it('takes for a Host only what is called so', async () => {
      for (const lines of [
        ['From: host', 'From: host'],
        ['X-A: host', 'X-A: host', 'X-B: Host'],
        ['Via: 1.1 a', 'Date: x', 'Date: y'],
      ]) {
        const [answer] = await sendRaw(service.url, head(...lines), 1);
        expect({ lines, status: answer?.status }).toEqual({ lines, status: 200 });
      }
    });

    it('takes as many headers as 100', async () => {
      const headers = (count: number) => Array.from({ length: count - 1 }, (_, index) => `X${index}: y`);
      const answers = await sendRaw(service.url, head(...headers(100)) + head(...headers(101)), 2);
      expect(answers.map(({ status }) => status)).toEqual([200, 431]);
    });

    it('says what was wrong', async () => {
      for (const [bytes, detail] of [
        [head('X-A : b'), /^The request is not HTTP\/1\.1: [A-Z][^.]+\.$/],
        [head().replace('HTTP/1.1', 'HTTP/2.0'), /^The request is not HTTP\/1\.1.*\.$/],
        [head('Host: b', 'Connection: close'), /^The request has more than one Host header\.$/],
        [head(`X-Long: ${'x'.repeat(20_000)}`), /^The headers are larger than 16 KB\.$/],
        [
          head('Connection: close', ...Array.from({ length: 100 }, () => 'X: y')),
          /^A request has at most 100 headers\.$/,
        ],
        [head('Expect: milk', 'Connection: close'), /^Expect must be 100-continue\.$/],
      ] as const) {
        const [answer] = await sendRaw(service.url, bytes);
        expect(problemIn(answer as RawResponse).detail).toMatch(detail);
      }
    });

    it('refuses 20 KB of headers, and 1,200 of them, with 431', async () => {
      const { problem } = await refused(431, head(`X-Long: ${'x'.repeat(20_000)}`));
      expect(problem).toMatchObject({ type: `${prefix}/problems/headers-too-large` });
      const many = (count: number) => head(...Array.from({ length: count }, (_, index) => `X${index}:`));
      // Newer versions of Node refuse so many before they come here, and end the connection.
      const [all] = await sendRaw(service.url, many(1200), 1);
      expect(problemIn(all as RawResponse)).toMatchObject({ status: 431, instance: list });
      const before = await rows();
      const [first, second] = await sendRaw(service.url, many(150) + creation(), 2);
      expect(problemIn(first as RawResponse)).toMatchObject({ status: 431, instance: list });
      // Where such a request ends is known: the next one is a request.
      expect([second?.status, await rows()]).toEqual([201, before + 1]);
    });
  });

  describe('connections', () => {
    it('answer requests that come all at once, in their order', async () => {
      const asked = ['GET', 'POST', 'DELETE', 'POST', 'GET'].map((method, index) => {
        const headers = { 'X-Request-Id': `number.${index}`, ...(index === 4 && { Connection: 'close' }) };
        return method === 'POST' ? creation(headers) : formatRequest(method, list, headers);
      });
      const answers = await sendRaw(service.url, asked.join(''));
      expect(answers.map(({ status, headers }) => [status, headers['x-request-id']])).toEqual([
        [200, 'number.0'],
        [201, 'number.1'],
        [405, 'number.2'],
        [201, 'number.3'],
        [200, 'number.4'],
      ]);
    });

    it('answer a request before they refuse what comes behind it', async () => {
      const before = await rows();
      const answers = await sendRaw(service.url, creation({ 'X-Request-Id': 'mine' }) + lengths('Content-Length: x'));
      expect(answers.map(({ status }) => status)).toEqual([201, 400]);
      expect(answers[0]?.headers['x-request-id']).toBe('mine');
      expect(await rows()).toBe(before + 1);
    });

    it('end after an answer in HTTP/1.0, unless they are to be kept', async () => {
      const [answer, ...others] = await sendRaw(service.url, `GET ${list} HTTP/1.0\r\n\r\n`);
      expect([answer?.status, answer?.headers.connection, others]).toEqual([200, 'close', []]);
      const kept = `GET ${list} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`;
      expect(await sendRaw(service.url, kept + kept, 2)).toMatchObject([{ status: 200 }, { status: 200 }]);
    });

    it('do not care for an upgrade that is not to be had', async () => {
      for (const Upgrade of ['websocket', 'h2c', 'TLS/1.0']) {
        const headers = { Upgrade, Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMAAABk' };
        const [answer] = await sendRaw(service.url, formatRequest('GET', list, headers), 1);
        expect(answer?.status).toBe(200);
      }
      await refused(400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    });
  });

  describe('slowness', () => {
    let hurried: TestService;
    beforeAll(async () => {
      hurried = await serve(name, subject.handlers);
      Object.assign(hurried.server, { headersTimeout: 300, requestTimeout: 600 });
    });
    afterAll(() => hurried.stop());

    it.each([
      ['a request line', `GET ${list}`, new RegExp(`^${prefix}/$`)],
      ['headers', head('X-A: b').slice(0, -3), /./],
      ['a body', creation().slice(0, -3), new RegExp(`^${create}$`)],
      ['chunks', `${chunked}5\r\n{"`, new RegExp(`^${create}$`)],
    ])('of %s is refused with 408, and nothing is written', async (_of, bytes, instance) => {
      const before = await rows();
      const answers = await sendRaw(hurried.url, bytes);
      expect(answers).toMatchObject([{ status: 408, headers: { connection: 'close' } }]);
      expect(problemIn(answers[0] as RawResponse)).toMatchObject({
        detail: 'The request did not arrive completely in time.',
        instance: expect.stringMatching(instance),
      });
      expect(await rows()).toBe(before);
    });

    it('of a second request is refused too, after the first is answered', async () => {
      const answers = await sendRaw(hurried.url, head('X-A: b') + head('X-A: b').slice(0, -3));
      expect(answers.map(({ status }) => status)).toEqual([200, 408]);
    });

    it('of one who says nothing ends without a word', async () => {
      const socket = await openSocket(hurried.url);
      expect(await readResponses(socket)).toEqual([]);
      expect(socket.bytesRead).toBe(0);
    });

    it('of one whose body nobody wants does not change the answer', async () => {
      const unwanted = formatRequest('POST', `${prefix}/nowhere`, { ...json, 'Content-Length': '2' });
      expect(await sendRaw(hurried.url, unwanted)).toMatchObject([{ status: 404 }]);
    });
  });

  describe('targets', () => {
    it('may be a whole URL', async () => {
      const whole = (path: string) => `http://localhost${path}`;
      expect(await sendRaw(service.url, formatRequest('GET', whole(list)), 1)).toMatchObject([{ status: 200 }]);
      const [answer] = await sendRaw(
        service.url,
        formatRequest('POST', whole(create), json, JSON.stringify(newBody())),
        1,
      );
      expect(answer).toMatchObject({ status: 201, headers: { location: expect.stringMatching(`^${list}/`) } });
      for (const server of ['http://localhost', 'HTTPS://localhost:1?x']) {
        expect(await sendRaw(service.url, formatRequest('GET', server), 1)).toMatchObject([{ status: 200 }]);
      }
      const elsewhere = await sendRaw(service.url, formatRequest('GET', `/http://localhost${list}`), 1);
      expect(elsewhere).toMatchObject([{ status: 404 }]);
      const [absent] = await sendRaw(service.url, formatRequest('GET', whole('/nowhere?x')), 1);
      expect(JSON.parse(absent?.body ?? '')).toMatchObject({ status: 404, instance: '/nowhere' });
    });

    it('may be the whole server, of OPTIONS', async () => {
      const [answer] = await sendRaw(service.url, formatRequest('OPTIONS', '*'), 1);
      expect(answer).toMatchObject({ status: 204, headers: { allow: 'GET, HEAD, OPTIONS' } });
      expect(await sendRaw(service.url, formatRequest('GET', '*'), 1)).toMatchObject([{ status: 404 }]);
    });

    it('may hold what no URI may; a problem names them by one', async () => {
      for (const [path, instance] of [
        ['/<a"b>', '/%3Ca%22b%3E'],
        ['/a|b^c`{d}', '/a%7Cb%5Ec%60%7Bd%7D'],
        ['/a\\b', '/a%5Cb'],
      ]) {
        const [answer] = await sendRaw(service.url, formatRequest('GET', path as string), 1);
        expect(problemIn(answer as RawResponse)).toMatchObject({ status: 404, instance });
      }
    });
  });

  describe('methods', () => {
    it('that no server knows are refused with 405 and Allow', async () => {
      for (const method of ['FOO', 'get', 'X-Y', 'POSTS']) {
        const { headers, problem } = await refused(405, formatRequest(method, `${list}?limit=1`));
        expect(headers.allow).toMatch(/^GET, HEAD, OPTIONS/);
        expect(problem.instance).toBe(list);
      }
      await refused(404, formatRequest('FOO', `${prefix}/nowhere`));
    });

    it('that no server knows are refused so on a connection that was used before', async () => {
      const socket = await openSocket(service.url);
      socket.write(formatRequest('GET', list));
      await once(socket, 'data');
      socket.write(formatRequest('FOO', list));
      const answers = await readResponses(socket);
      expect(answers).toMatchObject([{ status: 405, headers: { allow: expect.stringContaining('GET') } }]);
    });

    it('that no server knows are refused with 400 where their beginning is not known', async () => {
      const answers = await sendRaw(service.url, formatRequest('GET', list) + formatRequest('FOO', list));
      expect(answers.map(({ status }) => status)).toEqual([200, 400]);
    });

    it('do not make the service a proxy: CONNECT is refused with 405', async () => {
      const { headers } = await refused(405, 'CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n');
      expect(headers.allow).toBe('GET, HEAD, OPTIONS');
    });
  });

  describe('expectations', () => {
    const asking = { ...json, Expect: '100-continue' };

    it('of 100-continue are met when the body is wanted', async () => {
      // One type is plain to the fast lane, the other is not.
      for (const type of ['application/json', 'application/json; charset="UTF-8"']) {
        const [head = '', body = ''] = creation({ ...asking, 'Content-Type': type }).split(/(?<=\r\n\r\n)/);
        const socket = await openSocket(service.url);
        socket.write(head);
        await once(socket, 'readable');
        expect(String(socket.read())).toBe('HTTP/1.1 100 Continue\r\n\r\n');
        socket.write(body);
        expect(await readResponses(socket, 1)).toMatchObject([{ status: 201 }]);
      }
    });

    it('of 100-continue are answered for good when it is not', async () => {
      const large = { ...asking, 'Content-Length': '2000000' };
      const text = { ...asking, 'Content-Type': 'text/plain', 'Content-Length': '2' };
      for (const [headers, status] of [
        [large, 413],
        [text, 415],
      ] as const) {
        const answers = await sendRaw(service.url, formatRequest('POST', create, headers));
        expect(answers).toMatchObject([{ status, headers: { connection: 'close' } }]);
      }
    });

    it('of anything else are refused with 417, but in HTTP/1.0, where they mean nothing', async () => {
      for (const Expect of ['milk', '100-continue, milk', 'x-100-continue']) {
        const [answer] = await sendRaw(service.url, creation({ Expect }), 1);
        expect(problemIn(answer as RawResponse)).toMatchObject({ status: 417, instance: create });
      }
      const old = creation({ Expect: 'milk' }).replace('HTTP/1.1', 'HTTP/1.0');
      expect(await sendRaw(service.url, old)).toMatchObject([{ status: 201 }]);
    });
  });

  describe('bodies', () => {
    it('that break off are refused, and nothing is written', async () => {
      const before = await rows();
      const whole = creation();
      const packed = creation({ 'Content-Encoding': 'gzip' });
      for (const bytes of [whole, packed, `${chunked}5\r\n{"`]) {
        // Its other half still listens.
        const listening = await openSocket(service.url);
        listening.end(bytes.slice(0, -3));
        const [answer] = await readResponses(listening);
        expect(problemIn(answer as RawResponse)).toMatchObject({ status: 400, instance: create });
        const gone = await openSocket(service.url);
        gone.write(bytes.slice(0, -3));
        gone.destroy();
      }
      await until(async () => (await connections()) === 0);
      expect(await rows()).toBe(before);
    });

    it('that are too large are refused before they are read', async () => {
      const declared = formatRequest('POST', create, { ...json, 'Content-Length': '1000000000' });
      const [answer] = await sendRaw(service.url, `${declared}{`, 1);
      expect(problemIn(answer as RawResponse)).toMatchObject({ status: 413, instance: create });
    });

    it.each([
      ['plain', {}],
      ['packed', { 'Content-Encoding': 'gzip' }],
    ])('that never end are refused, %s, and a moment later cut off', async (_how, headers) => {
      const socket = await openSocket(service.url);
      const answered = readResponses(socket);
      socket.write(formatRequest('POST', create, { ...json, 'Transfer-Encoding': 'chunked', ...headers }));
      const packer = createGzip();
      const spaces = Buffer.alloc(65_536, ' ');
      const send = (chunk: Buffer) =>
        socket.write(`${chunk.length.toString(16)}\r\n${chunk.toString('latin1')}\r\n`, 'latin1');
      packer.on('data', send);
      const sending = setInterval(() => {
        if ('Content-Encoding' in headers) packer.write(spaces);
        else send(spaces);
      }, 2);
      const begin = performance.now();
      await closed(socket);
      clearInterval(sending);
      // Not only when the time for a request is over.
      expect(performance.now() - begin).toBeLessThan(timeouts.requestTimeout - 1000);
      expect((await answered).map(({ status }) => status)).toEqual([413]);
    });
  });

  async function connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      service.server.getConnections((error, count) => {
        if (error) reject(error);
        else resolve(count);
      });
    });
  }
}
