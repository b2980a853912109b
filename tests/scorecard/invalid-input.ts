/** Invalid input, and valid input that is easily altered: how the gateway and a replica treat it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import { sendRaw } from '@task-manager/testing/raw-http';
import { countOf, type Figure } from './figures.ts';

/** Sends every input to each of these addresses. */
export async function measureInvalidInput(urls: string[]): Promise<Figure[]> {
  let sent = 0;
  const failed: string[] = [];
  const withoutProblem: string[] = [];
  const altered: string[] = [];
  for (const url of urls) {
    const before = await countTasks(url);
    for (const [name, input] of Object.entries({ ...invalidRequests, ...invalidHttp })) {
      const { status, type } = await (typeof input === 'string' ? sendBytes(url, input) : sendRequest(url, input));
      sent++;
      if (!(status >= 200 && status < 500)) failed.push(`${name}: ${status}`);
      if (status >= 400 && !type.startsWith('application/problem+json')) withoutProblem.push(`${name}: ${status}`);
      if (status < 400) altered.push(`${name}: ${status}, not rejected`);
    }
    if ((await countTasks(url)) !== before) altered.push('a rejected request has created a task');
    for (const [name, fields] of Object.entries(faithful)) {
      sent++;
      const { status, body } = await sendRequest(url, { body: JSON.stringify(fields) });
      const { id } = body as { id?: string };
      const { body: stored } = await sendRequest(url, { method: 'GET', path: `/tasks/${id}` });
      const kept = Object.fromEntries(Object.keys(fields).map((field) => [field, (stored as never)[field]]));
      if (!(status >= 200 && status < 500)) failed.push(`${name}: ${status}`);
      if (!isDeepStrictEqual(kept, fields)) altered.push(`${name}: ${status}, ${JSON.stringify(kept).slice(0, 200)}`);
      if (id !== undefined) await sendRequest(url, { method: 'DELETE', path: `/tasks/${id}` });
    }
  }
  return [
    countOf(`${sent} invalid or easily altered inputs: 5xx or no response`, failed),
    countOf('rejected without a problem document (RFC 9457)', withoutProblem),
    countOf('accepted although invalid, or altered', altered),
  ];
}

interface Input {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

const timeoutMs = 10_000;
const json = { 'Content-Type': 'application/json' };
const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const title = (value: string) => `{"title":${value}}`;

/** Must be rejected. */
const invalidRequests: Record<string, Input> = {
  'no title': { body: '{}' },
  'an empty title': { body: title('""') },
  'a blank title': { body: title('" \\u200b"') },
  'a title twice': { body: '{"title":"x","title":"y"}' },
  '201 letters': { body: title(`"${'x'.repeat(201)}"`) },
  '201 emoji': { body: title(`"${'😀'.repeat(201)}"`) },
  'a number for a title': { body: title('1') },
  'an unknown field': { body: '{"title":"x","more":1}' },
  __proto__: { body: '{"title":"x","__proto__":{"admin":true}}' },
  constructor: { body: '{"title":"x","constructor":{"prototype":{}}}' },
  'NUL in a string': { body: title('"a\\u0000b"') },
  'a lone surrogate': { body: title('"a\\ud800b"') },
  'bytes that are not UTF-8': { body: Buffer.from([0x7b, 0x22, 0x74, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]) },
  'truncated JSON': { body: '{"title":"x"' },
  'an empty body': { body: '' },
  null: { body: 'null' },
  'an array': { body: '[]' },
  'a string': { body: '"x"' },
  'a number': { body: '1' },
  '40,000 nested arrays': { body: deep(40_000) },
  '40,000 nested arrays in a field': { body: title(deep(40_000)) },
  '2 MB': { body: title(`"${'x'.repeat(2_000_000)}"`) },
  'a 20 MB gzip bomb': {
    headers: { ...json, 'Content-Encoding': 'gzip' },
    body: gzipSync(title(`"${'x'.repeat(20_000_000)}"`)),
  },
  'an unknown encoding': { headers: { ...json, 'Content-Encoding': 'zip' }, body: title('"x"') },
  'another charset': { headers: { 'Content-Type': 'application/json; charset=latin1' }, body: title('"x"') },
  'another content type': { headers: { 'Content-Type': 'text/plain' }, body: title('"x"') },
  'no content type': { headers: { 'Content-Type': '' }, body: title('"x"') },
  'an Accept that cannot be met': { headers: { ...json, Accept: 'image/png' }, body: title('"x"') },
  '30 February': { body: '{"title":"x","dueDate":"2026-02-30"}' },
  'the year 0000': { body: '{"title":"x","dueDate":"0000-01-01"}' },
  'a date with a time': { body: '{"title":"x","dueDate":"2026-02-03T00:00:00Z"}' },
  'an unknown status': { body: '{"title":"x","status":"later"}' },
  'an invalid assignee id': { body: '{"title":"x","assigneeId":"bob"}' },
  'an unknown assignee': { body: '{"title":"x","assigneeId":"01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70"}' },
  '21 labels': { body: JSON.stringify({ title: 'x', labels: Array.from({ length: 21 }, (_, each) => `l${each}`) }) },
  'a label twice': { body: '{"title":"x","labels":["a","a"]}' },
  'limit 0': { method: 'GET', path: '/tasks?limit=0' },
  'limit 2³¹': { method: 'GET', path: '/tasks?limit=2147483648' },
  'limit 2⁵³': { method: 'GET', path: '/tasks?limit=9007199254740993' },
  'limit 2⁶³': { method: 'GET', path: '/tasks?limit=9223372036854775808' },
  'limit 1e1': { method: 'GET', path: '/tasks?limit=1e1' },
  'limit twice': { method: 'GET', path: '/tasks?limit=1&limit=2' },
  'an unknown parameter': { method: 'GET', path: '/tasks?more=1' },
  'an invalid cursor': { method: 'GET', path: '/tasks?cursor=abc' },
  'a percent-encoding that is not UTF-8': { method: 'GET', path: '/tasks?q=%ff' },
  'NUL in a search': { method: 'GET', path: '/tasks?q=a%00b' },
  'an invalid id': { method: 'GET', path: '/tasks/1' },
  'NUL in a path': { method: 'GET', path: '/tasks/%00' },
  'path traversal': { method: 'GET', path: '/docs/..%2f..%2fpackage.json' },
  'an invalid If-Match': { method: 'DELETE', path: `/tasks/${randomUUID()}`, headers: { 'If-Match': 'x' } },
  'an empty Idempotency-Key': { headers: { ...json, 'Idempotency-Key': '' }, body: title('"x"') },
  'an unsupported method': { method: 'PUT', path: '/tasks' },
  'an unknown path': { method: 'GET', path: '/nothing' },
};

const head = 'POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
const body = '{"title":"smuggled"}';

/** Not well-formed HTTP: must be rejected. */
const invalidHttp: Record<string, string> = {
  'Content-Length and Transfer-Encoding': `${head}Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${body}`,
  'two Content-Lengths': `${head}Content-Length: ${body.length}\r\nContent-Length: 3\r\n\r\n${body}`,
  'an invalid Content-Length': `${head}Content-Length: 0x14\r\n\r\n${body}`,
  'an invalid chunk': `${head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n${body}\r\n0\r\n\r\n`,
  'a bare LF': `POST /tasks HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: ${body.length}\n\n${body}`,
  'a folded header': `${head}X-Folded: a\r\n b\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  'no Host': `POST /tasks HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  'an unknown method': 'FOO /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n',
  TRACE: 'TRACE /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a TLS handshake': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  '20 KB of headers': `${head}X-Long: ${'x'.repeat(20_000)}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  '1,200 headers': `${head}${Array.from({ length: 1200 }, (_, each) => `X-${each}: 1\r\n`).join('')}Content-Length: ${body.length}\r\n\r\n${body}`,
};

/** Must be stored exactly as sent. */
const faithful: Record<string, Record<string, unknown>> = {
  '200 emoji': { title: '😀'.repeat(200) },
  'composed and decomposed letters': { title: 'Zoë Zoe\u0308', description: '\ufb01 \u212b' },
  spaces: { title: '  x  ', description: '\t\n\r\n \u00a0\u200b\ufeff' },
  'SQL and script': {
    title: "'; drop table tasks; --",
    description: '<script>alert(1)</script> ${x} {{x}} \\u0041',
  },
  'keywords of databases': { title: 'null', description: 'NaN infinity {} []' },
  'right-to-left text': { title: 'שלום \u202eabc', description: 'مرحبا' },
  labels: { title: 'x', labels: ['a', 'A', 'a,b', '"', '\\', '{}', ' x ', 'null', '😀'] },
  'the first day': { title: 'x', dueDate: '0001-01-01' },
  'the last day': { title: 'x', dueDate: '9999-12-31' },
  'a leap day': { title: 'x', dueDate: '2028-02-29' },
  '10,000 letters': { title: 'x', description: 'é'.repeat(10_000) },
};

async function sendRequest(
  url: string,
  { method = 'POST', path = '/tasks', headers = json, body }: Input,
): Promise<{ status: number; type: string; body: unknown }> {
  try {
    // An empty value means no header, except for the key, whose empty value is invalid input.
    const given = Object.entries(headers).filter(([name, value]) => value !== '' || name === 'Idempotency-Key');
    const init = { method, headers: Object.fromEntries(given), body: body === undefined ? null : Buffer.from(body) };
    const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, body: type.includes('json') ? (JSON.parse(text) as unknown) : text };
  } catch {
    return { status: 0, type: '', body: {} };
  }
}

/** Sends bytes as they are. Resolves with the first response. */
async function sendBytes(url: string, bytes: string): Promise<{ status: number; type: string }> {
  const timeout = sleep(timeoutMs, [], { ref: false });
  const [response] = await Promise.race([sendRaw(url, Buffer.from(bytes, 'latin1'), 1), timeout]);
  return { status: response?.status ?? 0, type: response?.headers['content-type'] ?? '' };
}

/** Only below a page. */
async function countTasks(url: string): Promise<number> {
  const { body } = await sendRequest(url, { method: 'GET', path: '/tasks?limit=100' });
  return (body as { items: unknown[] }).items.length;
}
