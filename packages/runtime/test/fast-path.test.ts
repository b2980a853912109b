/** Proves which requests the fast path serves. For equal responses of both paths, see testing/src/fast-path.ts. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Dispatch } from '@task-manager/runtime/http/dispatch';
import { readContract } from '@task-manager/runtime/contract/document';
import { contextOf, openContext } from '@task-manager/runtime/http/context';
import { fastPath } from '@task-manager/runtime/http/fast-path';
import { Load } from '@task-manager/runtime/http/load-shedding';
import type { Responder } from '@task-manager/runtime/http/respond';
import { createRouter } from '@task-manager/runtime/contract/router';
import express from 'express';
import { listen } from '@task-manager/testing/harness';
import { sendRaw, formatRequest } from '@task-manager/testing/raw-http';
import { unknownId, json, send } from '@task-manager/testing/subject';

const contract = readContract(new URL('../../../generated/task-service.yaml', import.meta.url));
const stream = 'text/event-stream';

function write(res: ServerResponse, value: object): void {
  const text = JSON.stringify(value);
  res.setHeader('Content-Length', Buffer.byteLength(text)).end(text);
}

let server: Server;
let url: string;
beforeAll(async () => {
  const dispatch = (({ operationId }: { operationId: string }, request: { body?: { title: string } }) =>
    request.body?.title === 'fail'
      ? Promise.reject(new Error('a failure'))
      : Promise.resolve({ operationId, ...request })) as unknown as Dispatch;
  const responder: Responder = {
    respond(_req, res, result) {
      write(res, { ...result, operation: contextOf(res).operation?.operationId });
    },
    fail(res, error) {
      write(res, { failed: String(error) });
    },
  };
  const stage = fastPath(contract, dispatch, responder, new Load());
  const open = openContext(createRouter(contract), new AbortController().signal);
  // Requests need the `accepts` method of Express.
  const app = express().use((req, res) => {
    open(req, res, () => {
      stage(req, res, () => {
        write(res, { passedOn: contextOf(res).bytes?.toString() ?? '' });
      });
    });
  });
  server = createServer(app);
  url = await listen(server);
});
afterAll(() => {
  server.close();
});

/** The request that reaches the handler, or the bytes that are passed to Express. */
async function outcomeOf(method: string, path: string, headers = {}, body?: string | Buffer): Promise<object> {
  return JSON.parse((await send(url + path, method, headers, body)).text) as object;
}

const passedOn = (bytes = '') => ({ passedOn: bytes });
const list = {
  operationId: 'listTasks',
  operation: 'listTasks',
  path: {},
  query: { sort: '-createdAt', limit: 50 },
  headers: {},
  accept: 'application/json',
};
const create = {
  operationId: 'createTask',
  operation: 'createTask',
  path: {},
  query: {},
  headers: {},
  accept: 'application/json',
};
const defaults = { description: '', status: 'todo', priority: 'normal', dueDate: null, assigneeId: null, labels: [] };
const body = '{"title":"a"}';

describe('fast path', () => {
  it('fills in the defaults', async () => {
    expect(await outcomeOf('GET', '/tasks')).toEqual(list);
    expect(await outcomeOf('GET', '/tasks?')).toEqual(list);
    expect(await outcomeOf('POST', '/tasks', json, body)).toEqual({ ...create, body: { title: 'a', ...defaults } });
  });

  it('decodes the query, and converts only integers to numbers', async () => {
    const query = { sort: 'dueDate', limit: 7, q: '1', label: 'é & b' };
    expect(await outcomeOf('GET', '/tasks?sort=dueDate&limit=7&q=1&label=%C3%A9+%26%20b')).toEqual({ ...list, query });
  });

  it('passes the path parameters and the declared headers to the handler', async () => {
    const headers = { 'If-None-Match': '"1"', 'If-Match': '"2"', 'Idempotency-Key': 'k', 'X-More': 'x' };
    const of = (operationId: string) => ({ ...list, operationId, operation: operationId, query: {} });
    const path = { taskId: unknownId };
    expect(await outcomeOf('GET', `/tasks/${unknownId}`, headers)).toEqual({
      ...of('getTask'),
      path,
      headers: { 'If-None-Match': '"1"' },
    });
    expect(await outcomeOf('DELETE', `/tasks/${unknownId}`, headers)).toEqual({
      ...of('deleteTask'),
      path,
      headers: { 'If-Match': '"2"' },
    });
    expect(await outcomeOf('POST', '/tasks', { ...json, ...headers }, body)).toMatchObject({
      headers: { 'Idempotency-Key': 'k' },
    });
    const change = await outcomeOf('PATCH', `/tasks/${unknownId}`, json, body);
    expect(change).toEqual({ ...of('updateTask'), path, body: { title: 'a' } });
  });

  it.each(['application/json', 'application/json;charset=utf-8', '*/*', 'application/*', 'text/html, */*;q=0.1'])(
    'serves a request that accepts %s',
    async (Accept) => {
      for (let time = 0; time < 2; time++) expect(await outcomeOf('GET', '/tasks', { Accept })).toEqual(list);
    },
  );

  it('serves JSON with charset=utf-8', async () => {
    const headers = { 'Content-Type': 'application/json; charset=utf-8' };
    expect(await outcomeOf('POST', '/tasks', headers, body)).toMatchObject({
      operation: 'createTask',
      body: { title: 'a' },
    });
  });

  it('serves text that PostgreSQL stores unchanged', async () => {
    for (const title of ['é 😀', 'a: b', '\\u00e9', 'a\\n', '\\\\u000', '\\uabcd']) {
      const sent = `{"title":"${title}"}`;
      expect(await outcomeOf('POST', '/tasks', json, sent)).toMatchObject({ body: JSON.parse(sent) as object });
    }
  });

  it('serves a body of 64 KB, and passes on a larger one', async () => {
    const sized = (length: number) => body.padEnd(length);
    expect(await outcomeOf('POST', '/tasks', json, sized(65_536))).toMatchObject({ operation: 'createTask' });
    expect(await outcomeOf('POST', '/tasks', json, sized(65_537))).toEqual(passedOn());
  });
});

describe('fast path: requests for Express', () => {
  it.each([
    ['an unknown path', 'GET', '/nowhere'],
    ['a trailing slash', 'GET', '/tasks/'],
    ['another method', 'PUT', '/tasks'],
    ['HEAD', 'HEAD', '/tasks'],
    ['an escape in the path', 'GET', '/t%61sks'],
    ['an invalid escape in the path', 'GET', '/tasks/%zz?limit=1'],
    ['an escape that is not UTF-8', 'GET', '/tasks?q=%ff'],
    ['an unknown parameter', 'GET', '/tasks?more=1'],
    ['an empty parameter', 'GET', '/tasks?q='],
    ['a repeated parameter', 'GET', '/tasks?limit=1&limit=2'],
    ['an invalid number', 'GET', '/tasks?limit=x'],
    ['a number with an exponent', 'GET', '/tasks?limit=1e1'],
    ['a number with a fraction', 'GET', '/tasks?limit=1.0'],
    ['a number above its maximum', 'GET', '/tasks?limit=101'],
    ['a value outside the enum', 'GET', '/tasks?sort=title'],
    ['an invalid date', 'GET', '/tasks?dueAfter=2026-02-30'],
    ['an invalid id', 'GET', '/tasks/1'],
    ['an id in upper case', 'GET', `/tasks/${unknownId.toUpperCase()}`],
    ['an operation with several media types', 'GET', '/tasks/feed'],
  ])('passes on %s', async (_label, method, path) => {
    const { text } = await send(url + path, method);
    expect(text).toBe(method === 'HEAD' ? '' : JSON.stringify(passedOn()));
  });

  it('passes on a request with an Origin, which needs CORS headers', async () => {
    expect(await outcomeOf('GET', '/tasks', { Origin: 'https://board.example' })).toEqual(passedOn());
  });

  it('passes on a request that does not accept JSON, with a cold and a warm cache', async () => {
    for (const Accept of ['text/html', 'application/json;q=0', stream, 'text/html', 'application/json;q=0']) {
      expect({ Accept, ...(await outcomeOf('GET', '/tasks', { Accept })) }).toEqual({ Accept, ...passedOn() });
    }
  });

  it('passes on a request with invalid or missing headers', async () => {
    expect(await outcomeOf('GET', `/tasks/${unknownId}`, { 'If-None-Match': 'x'.repeat(1001) })).toEqual(passedOn());
    expect(await outcomeOf('POST', '/tasks', { ...json, 'Idempotency-Key': 'x'.repeat(256) }, body)).toEqual(
      passedOn(),
    );
    const [response] = await sendRaw(url, 'GET /tasks HTTP/1.0\r\nConnection: close\r\n\r\n');
    expect(JSON.parse(response?.body ?? '')).toEqual(passedOn());
  });

  it('passes on a body when the operation has none', async () => {
    expect(await outcomeOf('GET', '/tasks', { 'Content-Length': '1' }, 'x')).toEqual(passedOn());
    expect(await outcomeOf('DELETE', `/tasks/${unknownId}`, { 'Content-Length': '1' }, 'x')).toEqual(passedOn());
    const chunked = formatRequest('GET', '/tasks', { 'Transfer-Encoding': 'chunked' });
    const [response] = await sendRaw(url, `${chunked}0\r\n\r\n`, 1);
    expect(JSON.parse(response?.body ?? '')).toEqual(passedOn());
  });

  it.each([
    ['a body of another media type', { 'Content-Type': 'text/plain' }],
    ['a body of another JSON media type', { 'Content-Type': 'application/merge-patch+json' }],
    ['a body in another charset', { 'Content-Type': 'application/json; charset=latin1' }],
    ['a body without a media type', {}],
    ['a compressed body', { ...json, 'Content-Encoding': 'gzip' }],
    ['a body of unknown length', { ...json, 'Transfer-Encoding': 'chunked' }],
  ])('passes on %s unread', async (_label, headers) => {
    expect(await outcomeOf('POST', '/tasks', headers, body)).toEqual(passedOn());
  });

  it.each([
    ['is not JSON', '{"title":"a"'],
    ['is not an object', '[]'],
    ['lacks a field', '{}'],
    ['has an undeclared field', '{"title":"a","more":1}'],
    ['has a field of another type', '{"title":1}'],
    ['has a number instead of a string', '{"title":"a","labels":[1]}'],
    ['has a NUL character', '{"title":"\\u0000"}'],
    ['has a high surrogate', '{"title":"\\ud83d"}'],
    ['has a low surrogate', '{"title":"\\uDE00"}'],
    ['has an escaped surrogate pair', '{"title":"\\ud83d\\ude00"}'],
    ['has a name twice', '{"title":"a","title":"b"}'],
    ['has a name twice, once with an escape', '{"title":"a","ti\\u0074le":"b"}'],
    ['is empty', ' '],
  ])('passes on the bytes of a body that %s', async (_label, sent) => {
    expect(await outcomeOf('POST', '/tasks', json, sent)).toEqual(passedOn(sent));
  });

  it('passes on the bytes of a body that is not UTF-8', async () => {
    const sent = Buffer.from('{"title":"\xff"}', 'latin1');
    expect(await outcomeOf('POST', '/tasks', json, sent)).toEqual(passedOn(sent.toString()));
  });
});

describe('fast path: failures', () => {
  it('passes the error to the responder when the handler throws', async () => {
    expect(await outcomeOf('POST', '/tasks', json, '{"title":"fail"}')).toEqual({ failed: 'Error: a failure' });
  });
});
