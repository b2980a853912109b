/** Proves that a service rejects invalid and incomplete HTTP/1.1 messages (RFC 9110, RFC 9112). */
import { once } from 'node:events';
import { createGzip } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { timeouts } from '@task-manager/runtime/http/server';
import { serve, type TestService } from './harness.ts';
import { until } from './until.ts';
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

  function createRequest(headers = {}): string {
    return formatRequest('POST', create, { ...json, ...headers }, JSON.stringify(newBody()));
  }

  function expectProblem({ status, headers, body }: RawResponse) {
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

  /** Sends a smuggled request after invalid bytes. Expects one problem, a closed connection, and no change in the table. */
  async function expectRejected(status: number, bytes: string) {
    const before = await rows();
    const responses = await sendRaw(service.url, bytes + createRequest());
    expect({ bytes, statuses: responses.map((each) => each.status) }).toEqual({ bytes, statuses: [status] });
    const [response] = responses as [RawResponse];
    const problem = expectProblem(response);
    expect(response.headers.connection).toBe('close');
    expect(await rows()).toBe(before);
    expect((await send(service.url + list, 'GET')).status).toBe(200);
    return { problem, headers: response.headers };
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
      ['a length above 2^64', lengths('Content-Length: 18446744073709551618')],
      ['an empty length', lengths('Content-Length:')],
      ['a last encoding other than chunked', lengths('Transfer-Encoding: chunked, identity')],
      ['an unknown encoding', lengths('Transfer-Encoding: xchunked')],
      ['an encoding hidden by a control character', lengths('Transfer-Encoding: \x0bchunked')],
      ['two encodings', lengths('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')],
    ])('returns 400 when the body has %s', async (_label, bytes) => {
      await expectRejected(400, bytes);
    });

    it.each([
      ['a size that is not a number', 'zz\r\n{}\r\n0\r\n\r\n'],
      ['a negative size', '-2\r\n{}\r\n0\r\n\r\n'],
      ['a size with 0x', '0x2\r\n{}\r\n0\r\n\r\n'],
      ['a size above 2^64', 'fffffffffffffffff\r\n{}\r\n0\r\n\r\n'],
      ['more bytes than its size', '1\r\n{}\r\n0\r\n\r\n'],
      ['a bare line feed', '2\n{}\n0\n\n'],
    ])('returns 400 when a chunk has %s', async (_label, chunks) => {
      const { problem } = await expectRejected(400, chunked + chunks);
      expect(problem.instance).toBe(create);
    });

    it.each([
      ['bare line feeds', head().replaceAll('\r\n', '\n')],
      ['a bare carriage return', head('X-A: b\rX-C: d')],
      ['a folded line', head('X-A: b', ' c')],
      ['a space before a colon', head('X-A : b')],
      ['no colon', head('X-A')],
      ['no name', head(': b')],
      ['a NUL character', head('X-A: b\0c')],
      ['a space before the first name', `GET ${list} HTTP/1.1\r\n Host: a\r\n\r\n`],
    ])('returns 400 when the headers have %s', async (_label, bytes) => {
      await expectRejected(400, bytes);
    });

    it('returns 400 when there are two Host headers', async () => {
      const [response] = await sendRaw(service.url, head('hOST: b'), 1);
      expect(expectProblem(response as RawResponse)).toMatchObject({ status: 400, instance: list });
    });

    it.each([
      ['nonsense', 'NONSENSE\r\n\r\n'],
      ['a space in its path', head().replace(list, `${list} x`)],
      ['a control character in its path', head().replace(list, `${list}\x01`)],
      ['no version', head().replace(' HTTP/1.1', '')],
      ['another protocol', head().replace('HTTP/1.1', 'ICE/1.1')],
      ['HTTP/2', head().replace('HTTP/1.1', 'HTTP/2.0')],
      ['an unknown version', head().replace('HTTP/1.1', 'HTTP/1.9')],
      ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ])('returns 400 when the request line has %s', async (_label, bytes) => {
      await expectRejected(400, bytes);
    });

    it('counts only headers named Host as Host', async () => {
      for (const lines of [
        ['From: host', 'From: host'],
        ['X-A: host', 'X-A: host', 'X-B: Host'],
        ['Via: 1.1 a', 'Date: x', 'Date: y'],
      ]) {
        const [response] = await sendRaw(service.url, head(...lines), 1);
        expect({ lines, status: response?.status }).toEqual({ lines, status: 200 });
      }
    });

    it('accepts 100 headers and returns 431 when there are more', async () => {
      const headers = (count: number) => Array.from({ length: count - 1 }, (_, index) => `X${index}: y`);
      const responses = await sendRaw(service.url, head(...headers(100)) + head(...headers(101)), 2);
      expect(responses.map(({ status }) => status)).toEqual([200, 431]);
    });

    it('explains the error in the problem', async () => {
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
        const [response] = await sendRaw(service.url, bytes);
        expect(expectProblem(response as RawResponse).detail).toMatch(detail);
      }
    });

    it('returns 431 when there are 20 KB of headers, or 1,200 headers', async () => {
      const { problem } = await expectRejected(431, head(`X-Long: ${'x'.repeat(20_000)}`));
      expect(problem).toMatchObject({ type: `${prefix}/problems/headers-too-large` });
      const many = (count: number) => head(...Array.from({ length: count }, (_, index) => `X${index}:`));
      // Newer versions of Node reject this many themselves, and close the connection.
      const [all] = await sendRaw(service.url, many(1200), 1);
      expect(expectProblem(all as RawResponse)).toMatchObject({ status: 431, instance: list });
      const before = await rows();
      const [first, second] = await sendRaw(service.url, many(150) + createRequest(), 2);
      expect(expectProblem(first as RawResponse)).toMatchObject({ status: 431, instance: list });
      // The end of such a request is known, so the service handles the next one.
      expect([second?.status, await rows()]).toEqual([201, before + 1]);
    });
  });

  describe('connections', () => {
    it('sends the responses in order when requests are pipelined', async () => {
      const requests = ['GET', 'POST', 'DELETE', 'POST', 'GET'].map((method, index) => {
        const headers = { 'X-Request-Id': `number.${index}`, ...(index === 4 && { Connection: 'close' }) };
        return method === 'POST' ? createRequest(headers) : formatRequest(method, list, headers);
      });
      const responses = await sendRaw(service.url, requests.join(''));
      expect(responses.map(({ status, headers }) => [status, headers['x-request-id']])).toEqual([
        [200, 'number.0'],
        [201, 'number.1'],
        [405, 'number.2'],
        [201, 'number.3'],
        [200, 'number.4'],
      ]);
    });

    it('responds to a valid request before it rejects the bytes after it', async () => {
      const before = await rows();
      const responses = await sendRaw(
        service.url,
        createRequest({ 'X-Request-Id': 'mine' }) + lengths('Content-Length: x'),
      );
      expect(responses.map(({ status }) => status)).toEqual([201, 400]);
      expect(responses[0]?.headers['x-request-id']).toBe('mine');
      expect(await rows()).toBe(before + 1);
    });

    it('closes after an HTTP/1.0 response, unless the client asks for keep-alive', async () => {
      const [response, ...others] = await sendRaw(service.url, `GET ${list} HTTP/1.0\r\n\r\n`);
      expect([response?.status, response?.headers.connection, others]).toEqual([200, 'close', []]);
      const keepAlive = `GET ${list} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`;
      expect(await sendRaw(service.url, keepAlive + keepAlive, 2)).toMatchObject([{ status: 200 }, { status: 200 }]);
    });

    it('ignores an upgrade that it does not support', async () => {
      for (const Upgrade of ['websocket', 'h2c', 'TLS/1.0']) {
        const headers = { Upgrade, Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMAAABk' };
        const [response] = await sendRaw(service.url, formatRequest('GET', list, headers), 1);
        expect(response?.status).toBe(200);
      }
      await expectRejected(400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    });
  });

  describe('timeouts', () => {
    let impatient: TestService;
    beforeAll(async () => {
      impatient = await serve(name, subject.handlers);
      Object.assign(impatient.server, { headersTimeout: 300, requestTimeout: 600 });
    });
    afterAll(() => impatient.stop());

    it.each([
      ['a request line', `GET ${list}`, new RegExp(`^${prefix}/$`)],
      ['headers', head('X-A: b').slice(0, -3), /./],
      ['a body', createRequest().slice(0, -3), new RegExp(`^${create}$`)],
      ['chunks', `${chunked}5\r\n{"`, new RegExp(`^${create}$`)],
    ])('returns 408 and writes nothing when the client does not complete %s', async (_label, bytes, instance) => {
      const before = await rows();
      const responses = await sendRaw(impatient.url, bytes);
      expect(responses).toMatchObject([{ status: 408, headers: { connection: 'close' } }]);
      expect(expectProblem(responses[0] as RawResponse)).toMatchObject({
        detail: 'The request did not arrive completely in time.',
        instance: expect.stringMatching(instance),
      });
      expect(await rows()).toBe(before);
    });

    it('returns 408 when the client does not complete the second request of a connection', async () => {
      const responses = await sendRaw(impatient.url, head('X-A: b') + head('X-A: b').slice(0, -3));
      expect(responses.map(({ status }) => status)).toEqual([200, 408]);
    });

    it('closes the connection without a response when no byte arrives', async () => {
      const socket = await openSocket(impatient.url);
      expect(await readResponses(socket)).toEqual([]);
      expect(socket.bytesRead).toBe(0);
    });

    it('returns 404 at once when the body of an unknown path is incomplete', async () => {
      const unwanted = formatRequest('POST', `${prefix}/nowhere`, { ...json, 'Content-Length': '2' });
      expect(await sendRaw(impatient.url, unwanted)).toMatchObject([{ status: 404 }]);
    });
  });

  describe('request targets', () => {
    it('accepts an absolute URL', async () => {
      const absolute = (path: string) => `http://localhost${path}`;
      expect(await sendRaw(service.url, formatRequest('GET', absolute(list)), 1)).toMatchObject([{ status: 200 }]);
      const [response] = await sendRaw(
        service.url,
        formatRequest('POST', absolute(create), json, JSON.stringify(newBody())),
        1,
      );
      expect(response).toMatchObject({ status: 201, headers: { location: expect.stringMatching(`^${list}/`) } });
      for (const server of ['http://localhost', 'HTTPS://localhost:1?x']) {
        expect(await sendRaw(service.url, formatRequest('GET', server), 1)).toMatchObject([{ status: 200 }]);
      }
      const elsewhere = await sendRaw(service.url, formatRequest('GET', `/http://localhost${list}`), 1);
      expect(elsewhere).toMatchObject([{ status: 404 }]);
      const [notFound] = await sendRaw(service.url, formatRequest('GET', absolute('/nowhere?x')), 1);
      expect(JSON.parse(notFound?.body ?? '')).toMatchObject({ status: 404, instance: '/nowhere' });
    });

    it('accepts * for OPTIONS only', async () => {
      const [response] = await sendRaw(service.url, formatRequest('OPTIONS', '*'), 1);
      expect(response).toMatchObject({ status: 204, headers: { allow: 'GET, HEAD, OPTIONS' } });
      expect(await sendRaw(service.url, formatRequest('GET', '*'), 1)).toMatchObject([{ status: 404 }]);
    });

    it('escapes invalid URI characters in the instance of the problem', async () => {
      for (const [path, instance] of [
        ['/<a"b>', '/%3Ca%22b%3E'],
        ['/a|b^c`{d}', '/a%7Cb%5Ec%60%7Bd%7D'],
        ['/a\\b', '/a%5Cb'],
      ]) {
        const [response] = await sendRaw(service.url, formatRequest('GET', path as string), 1);
        expect(expectProblem(response as RawResponse)).toMatchObject({ status: 404, instance });
      }
    });
  });

  describe('methods', () => {
    it('returns 405 with Allow when the method is unknown', async () => {
      for (const method of ['FOO', 'get', 'X-Y', 'POSTS']) {
        const { headers, problem } = await expectRejected(405, formatRequest(method, `${list}?limit=1`));
        expect(headers.allow).toMatch(/^GET, HEAD, OPTIONS/);
        expect(problem.instance).toBe(list);
      }
      await expectRejected(404, formatRequest('FOO', `${prefix}/nowhere`));
    });

    it('returns 405 for an unknown method on a connection that was used before', async () => {
      const socket = await openSocket(service.url);
      socket.write(formatRequest('GET', list));
      await once(socket, 'data');
      socket.write(formatRequest('FOO', list));
      const responses = await readResponses(socket);
      expect(responses).toMatchObject([{ status: 405, headers: { allow: expect.stringContaining('GET') } }]);
    });

    it('returns 400 for an unknown method when the request is pipelined', async () => {
      const responses = await sendRaw(service.url, formatRequest('GET', list) + formatRequest('FOO', list));
      expect(responses.map(({ status }) => status)).toEqual([200, 400]);
    });

    it('returns 405 when the method is CONNECT', async () => {
      const { headers } = await expectRejected(405, 'CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n');
      expect(headers.allow).toBe('GET, HEAD, OPTIONS');
    });
  });

  describe('expectations', () => {
    const expecting = { ...json, Expect: '100-continue' };

    it('sends 100 Continue when the operation reads the body', async () => {
      // The fast path reads the first type, Express the second.
      for (const type of ['application/json', 'application/json; charset="UTF-8"']) {
        const [head = '', body = ''] = createRequest({ ...expecting, 'Content-Type': type }).split(/(?<=\r\n\r\n)/);
        const socket = await openSocket(service.url);
        socket.write(head);
        await once(socket, 'readable');
        expect(String(socket.read())).toBe('HTTP/1.1 100 Continue\r\n\r\n');
        socket.write(body);
        expect(await readResponses(socket, 1)).toMatchObject([{ status: 201 }]);
      }
    });

    it('sends the final status instead of 100 Continue when it rejects the request', async () => {
      const large = { ...expecting, 'Content-Length': '2000000' };
      const text = { ...expecting, 'Content-Type': 'text/plain', 'Content-Length': '2' };
      for (const [headers, status] of [
        [large, 413],
        [text, 415],
      ] as const) {
        const responses = await sendRaw(service.url, formatRequest('POST', create, headers));
        expect(responses).toMatchObject([{ status, headers: { connection: 'close' } }]);
      }
    });

    it('returns 417 when the expectation is unknown, except in HTTP/1.0', async () => {
      for (const Expect of ['milk', '100-continue, milk', 'x-100-continue']) {
        const [response] = await sendRaw(service.url, createRequest({ Expect }), 1);
        expect(expectProblem(response as RawResponse)).toMatchObject({ status: 417, instance: create });
      }
      const http10 = createRequest({ Expect: 'milk' }).replace('HTTP/1.1', 'HTTP/1.0');
      expect(await sendRaw(service.url, http10)).toMatchObject([{ status: 201 }]);
    });
  });

  describe('bodies', () => {
    it('returns 400 and writes nothing when the client ends the body early', async () => {
      const before = await rows();
      const plain = createRequest();
      const compressed = createRequest({ 'Content-Encoding': 'gzip' });
      for (const bytes of [plain, compressed, `${chunked}5\r\n{"`]) {
        // Half-closed: the client still reads.
        const halfClosed = await openSocket(service.url);
        halfClosed.end(bytes.slice(0, -3));
        const [response] = await readResponses(halfClosed);
        expect(expectProblem(response as RawResponse)).toMatchObject({ status: 400, instance: create });
        const disconnected = await openSocket(service.url);
        disconnected.write(bytes.slice(0, -3));
        disconnected.destroy();
      }
      await until(async () => (await connections()) === 0);
      expect(await rows()).toBe(before);
    });

    it('returns 413 before it reads the body when Content-Length is too large', async () => {
      const declared = formatRequest('POST', create, { ...json, 'Content-Length': '1000000000' });
      const [response] = await sendRaw(service.url, `${declared}{`, 1);
      expect(expectProblem(response as RawResponse)).toMatchObject({ status: 413, instance: create });
    });

    it.each([
      ['plain', {}],
      ['compressed', { 'Content-Encoding': 'gzip' }],
    ])('returns 413 and then closes the connection when a %s body never ends', async (_label, headers) => {
      const socket = await openSocket(service.url);
      const reading = readResponses(socket);
      socket.write(formatRequest('POST', create, { ...json, 'Transfer-Encoding': 'chunked', ...headers }));
      const gzip = createGzip();
      const spaces = Buffer.alloc(65_536, ' ');
      const send = (chunk: Buffer) =>
        socket.write(`${chunk.length.toString(16)}\r\n${chunk.toString('latin1')}\r\n`, 'latin1');
      gzip.on('data', send);
      const sending = setInterval(() => {
        if ('Content-Encoding' in headers) gzip.write(spaces);
        else send(spaces);
      }, 2);
      const begin = performance.now();
      await closed(socket);
      clearInterval(sending);
      // Before the request timeout.
      expect(performance.now() - begin).toBeLessThan(timeouts.requestTimeout - 1000);
      expect((await reading).map(({ status }) => status)).toEqual([413]);
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
