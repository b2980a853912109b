/** Which requests the fast lane takes and what it makes of them; that both ways answer alike is for lane.ts. */
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
  // Express gives a request what it says of its Accept.
  const app = express().use((req, res) => {
    open(req, res, () => {
      stage(req, res, () => {
        write(res, { left: contextOf(res).bytes?.toString() ?? '' });
      });
    });
  });
  server = createServer(app);
  url = await listen(server);
});
afterAll(() => {
  server.close();
});

/** What became of a request: what its handler is given, or what is left to Express. */
async function fate(method: string, path: string, headers = {}, body?: string | Buffer): Promise<object> {
  return JSON.parse((await send(url + path, method, headers, body)).text) as object;
}

const left = (bytes = '') => ({ left: bytes });
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

describe('the fast lane takes', () => {
  it('what has defaults for all its parts, and fills them in', async () => {
    expect(await fate('GET', '/tasks')).toEqual(list);
    expect(await fate('GET', '/tasks?')).toEqual(list);
    expect(await fate('POST', '/tasks', json, body)).toEqual({ ...create, body: { title: 'a', ...defaults } });
  });

  it('a query, its integers as numbers, its texts without escapes and as texts', async () => {
    const query = { sort: 'dueDate', limit: 7, q: '1', label: 'é & b' };
    expect(await fate('GET', '/tasks?sort=dueDate&limit=7&q=1&label=%C3%A9+%26%20b')).toEqual({ ...list, query });
  });

  it('an id of the path, and the headers that the contract has for the operation', async () => {
    const headers = { 'If-None-Match': '"1"', 'If-Match': '"2"', 'Idempotency-Key': 'k', 'X-More': 'x' };
    const of = (operationId: string) => ({ ...list, operationId, operation: operationId, query: {} });
    const path = { taskId: unknownId };
    expect(await fate('GET', `/tasks/${unknownId}`, headers)).toEqual({
      ...of('getTask'),
      path,
      headers: { 'If-None-Match': '"1"' },
    });
    expect(await fate('DELETE', `/tasks/${unknownId}`, headers)).toEqual({
      ...of('deleteTask'),
      path,
      headers: { 'If-Match': '"2"' },
    });
    expect(await fate('POST', '/tasks', { ...json, ...headers }, body)).toMatchObject({
      headers: { 'Idempotency-Key': 'k' },
    });
    const change = await fate('PATCH', `/tasks/${unknownId}`, json, body);
    expect(change).toEqual({ ...of('updateTask'), path, body: { title: 'a' } });
  });

  it.each(['application/json', '*/*', 'application/*', 'text/html, */*;q=0.1'])('who accepts %s', async (Accept) => {
    for (let time = 0; time < 2; time++) expect(await fate('GET', '/tasks', { Accept })).toEqual(list);
  });

  it('JSON that says in which encoding it is', async () => {
    const headers = { 'Content-Type': 'application/json; charset=utf-8' };
    expect(await fate('POST', '/tasks', headers, body)).toMatchObject({
      operation: 'createTask',
      body: { title: 'a' },
    });
  });

  it('any text that can be stored as it is', async () => {
    for (const title of ['é 😀', '\\u00e9', '\\n', '\\\\u000', '\\uabcd']) {
      const sent = `{"title":"${title}"}`;
      expect(await fate('POST', '/tasks', json, sent)).toMatchObject({ body: JSON.parse(sent) as object });
    }
  });

  it('64 KB, and leaves more than that', async () => {
    const sized = (length: number) => body.padEnd(length);
    expect(await fate('POST', '/tasks', json, sized(65_536))).toMatchObject({ operation: 'createTask' });
    expect(await fate('POST', '/tasks', json, sized(65_537))).toEqual(left());
  });
});

describe('the fast lane leaves to Express', () => {
  it.each([
    ['an unknown path', 'GET', '/nowhere'],
    ['a slash more', 'GET', '/tasks/'],
    ['another method', 'PUT', '/tasks'],
    ['HEAD', 'HEAD', '/tasks'],
    ['an escape in the path', 'GET', '/t%61sks'],
    ['an escape that is none, in the path', 'GET', '/tasks/%zz?limit=1'],
    ['an escape that is not UTF-8', 'GET', '/tasks?q=%ff'],
    ['an unknown parameter', 'GET', '/tasks?more=1'],
    ['an empty parameter', 'GET', '/tasks?q='],
    ['a parameter twice', 'GET', '/tasks?limit=1&limit=2'],
    ['a number that is none', 'GET', '/tasks?limit=x'],
    ['a number written otherwise', 'GET', '/tasks?limit=1e1'],
    ['a number with a fraction', 'GET', '/tasks?limit=1.0'],
    ['a number past its limit', 'GET', '/tasks?limit=101'],
    ['a value that is not one of those', 'GET', '/tasks?sort=title'],
    ['a day that is none', 'GET', '/tasks?dueAfter=2026-02-30'],
    ['an id that is none', 'GET', '/tasks/1'],
    ['an operation with more than one kind of answer', 'GET', '/tasks/feed'],
  ])('%s', async (_what, method, path) => {
    const { text } = await send(url + path, method);
    expect(text).toBe(method === 'HEAD' ? '' : JSON.stringify(left()));
  });

  it('what a browser must be told more of', async () => {
    expect(await fate('GET', '/tasks', { Origin: 'https://board.example' })).toEqual(left());
  });

  it('one who does not accept JSON, each time', async () => {
    for (const Accept of ['text/html', 'application/json;q=0', stream, 'text/html', 'application/json;q=0']) {
      expect({ Accept, ...(await fate('GET', '/tasks', { Accept })) }).toEqual({ Accept, ...left() });
    }
  });

  it('headers that do not fit', async () => {
    expect(await fate('GET', `/tasks/${unknownId}`, { 'If-None-Match': 'x'.repeat(1001) })).toEqual(left());
    expect(await fate('POST', '/tasks', { ...json, 'Idempotency-Key': 'x'.repeat(256) }, body)).toEqual(left());
    const [answer] = await sendRaw(url, 'GET /tasks HTTP/1.0\r\nConnection: close\r\n\r\n');
    expect(JSON.parse(answer?.body ?? '')).toEqual(left());
  });

  it('a body where none is read', async () => {
    expect(await fate('GET', '/tasks', { 'Content-Length': '1' }, 'x')).toEqual(left());
    expect(await fate('DELETE', `/tasks/${unknownId}`, { 'Content-Length': '1' }, 'x')).toEqual(left());
    const chunked = formatRequest('GET', '/tasks', { 'Transfer-Encoding': 'chunked' });
    const [answer] = await sendRaw(url, `${chunked}0\r\n\r\n`, 1);
    expect(JSON.parse(answer?.body ?? '')).toEqual(left());
  });

  it.each([
    ['another type', { 'Content-Type': 'text/plain' }],
    ['another kind of JSON', { 'Content-Type': 'application/merge-patch+json' }],
    ['another encoding', { 'Content-Type': 'application/json; charset=latin1' }],
    ['no type', {}],
    ['a packed body', { ...json, 'Content-Encoding': 'gzip' }],
    ['a body of unknown length', { ...json, 'Transfer-Encoding': 'chunked' }],
  ])('%s, unread', async (_what, headers) => {
    expect(await fate('POST', '/tasks', headers, body)).toEqual(left());
  });

  it.each([
    ['is not JSON', '{"title":"a"'],
    ['is no object', '[]'],
    ['lacks a field', '{}'],
    ['has a field more', '{"title":"a","more":1}'],
    ['has another type', '{"title":1}'],
    ['has a number as a text', '{"title":"a","labels":[1]}'],
    ['has NUL', '{"title":"\\u0000"}'],
    ['has half a surrogate pair', '{"title":"\\ud83d"}'],
    ['has the other half', '{"title":"\\uDE00"}'],
    ['has a whole pair, escaped', '{"title":"\\ud83d\\ude00"}'],
    ['is empty', ' '],
  ])('a body that %s, as it came', async (_what, sent) => {
    expect(await fate('POST', '/tasks', json, sent)).toEqual(left(sent));
  });

  it('a body that is not UTF-8, as it came', async () => {
    const sent = Buffer.from('{"title":"\xff"}', 'latin1');
    expect(await fate('POST', '/tasks', json, sent)).toEqual(left(sent.toString()));
  });
});

describe('in the fast lane', () => {
  it('what fails is answered as a failure', async () => {
    expect(await fate('POST', '/tasks', json, '{"title":"fail"}')).toEqual({ failed: 'Error: a failure' });
  });
});
