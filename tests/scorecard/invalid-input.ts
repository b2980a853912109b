/** Bad inputs, and good ones that are easily altered: what becomes of them, at the gateway and at a replica. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';

export interface Inputs {
  sent: number;
  /** What was answered with 5xx, or not at all. */
  failed: string[];
  /** Answers of 400 and more that are no problem. */
  withoutProblem: string[];
  /** What was accepted though it is not valid, or stored otherwise than it was sent. */
  altered: string[];
}

/** Sends every input to each of these addresses. */
export async function tryInputs(urls: string[]): Promise<Inputs> {
  const result: Inputs = { sent: 0, failed: [], withoutProblem: [], altered: [] };
  for (const url of urls) {
    const before = await countTasks(url);
    for (const [name, input] of Object.entries({ ...requests, ...framing })) {
      const { status, type } = await (typeof input === 'string' ? sendRaw(url, input) : sendRequest(url, input));
      const answer = `${name}: ${status}`;
      result.sent++;
      if (!(status >= 200 && status < 500)) result.failed.push(answer);
      if (status >= 400 && !type.startsWith('application/problem+json')) result.withoutProblem.push(answer);
      if (status < 400) result.altered.push(`${answer}, not refused`);
    }
    if ((await countTasks(url)) !== before) result.altered.push('a refused request has left a task');
    for (const [name, fields] of Object.entries(faithful)) {
      result.sent++;
      const { status, body } = await sendRequest(url, { body: JSON.stringify(fields) });
      const { id } = body as { id?: string };
      const stored = status === 201 ? (await sendRequest(url, { method: 'GET', path: `/tasks/${id}` })).body : {};
      const kept = Object.fromEntries(Object.keys(fields).map((field) => [field, (stored as never)[field]]));
      if (!(status >= 200 && status < 500)) result.failed.push(`${name}: ${status}`);
      if (!isDeepStrictEqual(kept, fields))
        result.altered.push(`${name}: ${status}, ${JSON.stringify(kept).slice(0, 200)}`);
      if (id !== undefined) await sendRequest(url, { method: 'DELETE', path: `/tasks/${id}` });
    }
  }
  return result;
}

interface Input {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

const json = { 'Content-Type': 'application/json' };
const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const title = (value: string) => `{"title":${value}}`;

/** What must be refused. */
const requests: Record<string, Input> = {
  'no title': { body: '{}' },
  'an empty title': { body: title('""') },
  '201 letters': { body: title(`"${'x'.repeat(201)}"`) },
  '201 emoji': { body: title(`"${'😀'.repeat(201)}"`) },
  'a number for a title': { body: title('1') },
  'an unknown field': { body: '{"title":"x","more":1}' },
  __proto__: { body: '{"title":"x","__proto__":{"admin":true}}' },
  constructor: { body: '{"title":"x","constructor":{"prototype":{}}}' },
  'NUL in a text': { body: title('"a\\u0000b"') },
  'half of a surrogate pair': { body: title('"a\\ud800b"') },
  'bytes that are not UTF-8': { body: Buffer.from([0x7b, 0x22, 0x74, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]) },
  'a body that breaks off': { body: '{"title":"x"' },
  'an empty body': { body: '' },
  null: { body: 'null' },
  'an array': { body: '[]' },
  'a text': { body: '"x"' },
  'a number': { body: '1' },
  '40,000 arrays in each other': { body: deep(40_000) },
  '40,000 arrays in a field': { body: title(deep(40_000)) },
  '2 MB': { body: title(`"${'x'.repeat(2_000_000)}"`) },
  'a 20 MB gzip bomb': {
    headers: { ...json, 'Content-Encoding': 'gzip' },
    body: gzipSync(title(`"${'x'.repeat(20_000_000)}"`)),
  },
  'an encoding that nobody knows': { headers: { ...json, 'Content-Encoding': 'zip' }, body: title('"x"') },
  'another charset': { headers: { 'Content-Type': 'application/json; charset=latin1' }, body: title('"x"') },
  'another content type': { headers: { 'Content-Type': 'text/plain' }, body: title('"x"') },
  'no content type': { headers: { 'Content-Type': '' }, body: title('"x"') },
  'an Accept that cannot be met': { headers: { ...json, Accept: 'image/png' }, body: title('"x"') },
  '30 February': { body: '{"title":"x","dueDate":"2026-02-30"}' },
  'the year 0000': { body: '{"title":"x","dueDate":"0000-01-01"}' },
  'a day that is a time': { body: '{"title":"x","dueDate":"2026-02-03T00:00:00Z"}' },
  'a status that there is not': { body: '{"title":"x","status":"later"}' },
  'an assignee that is no id': { body: '{"title":"x","assigneeId":"bob"}' },
  'an assignee who is nobody': { body: '{"title":"x","assigneeId":"01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70"}' },
  '21 labels': { body: JSON.stringify({ title: 'x', labels: Array.from({ length: 21 }, (_, each) => `l${each}`) }) },
  'a label twice': { body: '{"title":"x","labels":["a","a"]}' },
  'limit 0': { method: 'GET', path: '/tasks?limit=0' },
  'limit 2³¹': { method: 'GET', path: '/tasks?limit=2147483648' },
  'limit 2⁵³': { method: 'GET', path: '/tasks?limit=9007199254740993' },
  'limit 2⁶³': { method: 'GET', path: '/tasks?limit=9223372036854775808' },
  'limit 1e1': { method: 'GET', path: '/tasks?limit=1e1' },
  'limit twice': { method: 'GET', path: '/tasks?limit=1&limit=2' },
  'an unknown parameter': { method: 'GET', path: '/tasks?more=1' },
  'a cursor of nothing': { method: 'GET', path: '/tasks?cursor=abc' },
  'an escape that is not UTF-8': { method: 'GET', path: '/tasks?q=%ff' },
  'NUL in a search': { method: 'GET', path: '/tasks?q=a%00b' },
  'an id that is none': { method: 'GET', path: '/tasks/1' },
  'NUL in a path': { method: 'GET', path: '/tasks/%00' },
  'a path that leads up': { method: 'GET', path: '/docs/..%2f..%2fpackage.json' },
  'an If-Match that is none': { method: 'DELETE', path: `/tasks/${randomUUID()}`, headers: { 'If-Match': 'x' } },
  'an empty key': { headers: { ...json, 'Idempotency-Key': '' }, body: title('"x"') },
  'a method that the path has not': { method: 'PUT', path: '/tasks' },
  'a path that there is not': { method: 'GET', path: '/nothing' },
};

const head = 'POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
const body = '{"title":"smuggled"}';

/** What is no proper HTTP. */
const framing: Record<string, string> = {
  'Content-Length and Transfer-Encoding': `${head}Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${body}`,
  'two lengths': `${head}Content-Length: ${body.length}\r\nContent-Length: 3\r\n\r\n${body}`,
  'a length that is none': `${head}Content-Length: 0x14\r\n\r\n${body}`,
  'a chunk that is none': `${head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n${body}\r\n0\r\n\r\n`,
  'a bare LF': `POST /tasks HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: ${body.length}\n\n${body}`,
  'a folded header': `${head}X-Folded: a\r\n b\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  'no Host': `POST /tasks HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  'a method that nobody knows': 'FOO /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n',
  TRACE: 'TRACE /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'no HTTP': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  '20 KB of headers': `${head}X-Long: ${'x'.repeat(20_000)}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  '1,200 headers': `${head}${Array.from({ length: 1200 }, (_, each) => `X-${each}: 1\r\n`).join('')}Content-Length: ${body.length}\r\n\r\n${body}`,
};

/** What must be stored just as it was sent. */
const faithful: Record<string, Record<string, unknown>> = {
  '200 emoji': { title: '😀'.repeat(200) },
  'letters that can be written in two ways': { title: 'Zoë Zoe\u0308', description: '\ufb01 \u212b' },
  spaces: { title: '  x  ', description: '\t\n\r\n \u00a0\u200b\ufeff' },
  'words of programs': {
    title: "'; drop table tasks; --",
    description: '<script>alert(1)</script> ${x} {{x}} \\u0041',
  },
  'words that databases know': { title: 'null', description: 'NaN infinity {} []' },
  'writing from right to left': { title: 'שלום \u202eabc', description: 'مرحبا' },
  labels: { title: 'x', labels: ['a', 'A', 'a,b', '"', '\\', '{}', ' ', 'null', '😀'] },
  days: { title: 'x', dueDate: '0001-01-01' },
  'the last day': { title: 'x', dueDate: '9999-12-31' },
  'a leap day': { title: 'x', dueDate: '2028-02-29' },
  '10,000 letters': { title: 'x', description: 'é'.repeat(10_000) },
};

async function sendRequest(
  url: string,
  { method = 'POST', path = '/tasks', headers = json, body }: Input,
): Promise<{ status: number; type: string; body: unknown }> {
  try {
    const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''));
    const key = headers['Idempotency-Key'];
    const keyed = key !== undefined && { 'Idempotency-Key': key };
    const init = { method, headers: { ...given, ...keyed }, ...(body !== undefined && { body: Buffer.from(body) }) };
    const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(10_000) });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, body: type.includes('json') ? (JSON.parse(text) as unknown) : text };
  } catch {
    return { status: 0, type: '', body: undefined };
  }
}

/** Sends bytes as they are; answers with what comes first. */
async function sendRaw(url: string, bytes: string): Promise<{ status: number; type: string }> {
  const { port } = new URL(url);
  const socket = connect({ port: Number(port), host: '127.0.0.1' });
  let received = '';
  socket.on('data', (data) => (received += data.toString('latin1')));
  socket.on('error', () => undefined);
  socket.write(bytes, 'latin1');
  const limit = setTimeout(() => socket.destroy(), 10_000);
  while (!socket.destroyed && !received.includes('\r\n\r\n')) {
    await Promise.race([once(socket, 'data'), once(socket, 'close')]).catch(() => undefined);
  }
  clearTimeout(limit);
  socket.destroy();
  const type = /\r\ncontent-type: ([^\r]*)/i.exec(received)?.[1] ?? '';
  return { status: Number(received.slice(9, 12)), type };
}

/** More than a page of them would not be counted. */
async function countTasks(url: string): Promise<number> {
  const { body } = await sendRequest(url, { method: 'GET', path: '/tasks?limit=100', headers: {} });
  return (body as { items: unknown[] }).items.length;
}
