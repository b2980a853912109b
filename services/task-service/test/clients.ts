/** Clients of the task service: they send requests of every kind and record the outcomes. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type pg from 'pg';
import { unknownId, json, send, type TestResponse } from '@task-manager/testing/subject';
import { alice } from './stub-users.ts';

interface TestRequest {
  kind: Kind;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
  /** The unique title of the task that the request creates. */
  title: string;
}

/** A request and its response; the status is 0 when there was no response. */
export interface Outcome extends TestRequest {
  response: TestResponse;
  ms: number;
  /** In the time of `performance.now()`. */
  endedAt: number;
}

const kinds = {
  'a POST': ['POST', '/tasks', {}, (title: string) => ({ title })],
  'a POST that assigns': ['POST', '/tasks', {}, (title: string) => ({ title, assigneeId: alice })],
  'a POST with a key': ['POST', '/tasks', { 'Idempotency-Key': true }, (title: string) => ({ title })],
  'a batch POST with a key': [
    'POST',
    '/tasks/batch',
    { 'Idempotency-Key': true },
    (title: string) => ({ items: [{ title, assigneeId: alice }] }),
  ],
  'a GET': ['GET', `/tasks/${unknownId}`],
  'a list': ['GET', '/tasks?limit=3'],
  'a list of several statements': ['GET', '/tasks?limit=100&sort=dueDate&label=faults'],
  'a feed': ['GET', '/tasks/feed?cursor=latest'],
  'a PATCH': ['PATCH', `/tasks/${unknownId}`, {}, (title: string) => ({ title })],
  'a PATCH that assigns': ['PATCH', `/tasks/${unknownId}`, {}, () => ({ assigneeId: alice })],
  'a DELETE': ['DELETE', `/tasks/${unknownId}`],
} satisfies Record<string, [string, string, object?, ((title: string) => object)?]>;

export type Kind = keyof typeof kinds;
export const everyKind = Object.keys(kinds) as Kind[];

export function newRequest(kind: Kind): TestRequest {
  const [method, path, headers = {}, bodyOf] = kinds[kind] as [string, string, object?, ((title: string) => object)?];
  const title = randomUUID();
  const key = 'Idempotency-Key' in headers ? { 'Idempotency-Key': title } : {};
  const body = bodyOf && JSON.stringify(bodyOf(title));
  return { kind, method, path, headers: { ...(body !== undefined && json), ...key }, body, title };
}

export async function sendRequest(url: string, request: TestRequest): Promise<Outcome> {
  const startedAt = performance.now();
  const { method, path, headers, body } = request;
  const response = await send(url + path, method, headers, body).catch(() => noResponse);
  const endedAt = performance.now();
  return { ...request, response, ms: endedAt - startedAt, endedAt };
}

/** Repeats the request until the original is no longer in flight (409). */
export async function retryRequest(url: string, request: TestRequest): Promise<Outcome> {
  for (;;) {
    const outcome = await sendRequest(url, request);
    if (outcome.response.status !== 409) return outcome;
    await sleep(10);
  }
}

const noResponse: TestResponse = { status: 0, headers: {}, text: '', body: {} };

/** Sends several requests of every kind at once: more than the pool has connections. */
export function sendEveryKind(url: string, times = 3): Promise<Outcome[]> {
  return Promise.all(
    Array.from({ length: times }, () => everyKind)
      .flat()
      .map((kind) => sendRequest(url, newRequest(kind))),
  );
}

/** Starts clients that each send one request after the other; `stop` returns all outcomes. */
export function startLoad(url: string, clients = 4): { created: () => number; stop: () => Promise<Outcome[]> } {
  const outcomes: Outcome[] = [];
  let isStopped = false;
  const running = Array.from({ length: clients }, async (_, client) => {
    for (let turn = client; !isStopped; turn++) {
      outcomes.push(await sendRequest(url, newRequest(everyKind[turn % everyKind.length] as Kind)));
      await sleep(10);
    }
  });
  return {
    created: () => outcomes.filter(({ response }) => response.status === 201).length,
    async stop() {
      isStopped = true;
      await Promise.all(running);
      return outcomes;
    },
  };
}

/** 404 included: some kinds address a task that does not exist. */
export const isServed = ({ response: { status } }: Outcome) => [200, 201, 204, 404].includes(status);
export const isUnavailable = ({ response: { status } }: Outcome) => status === 503;

/** Every request is served, or rejected with a complete 503 problem, within 2 s. */
export function expectServedOrUnavailable(outcomes: Outcome[]): void {
  const wrong = outcomes.filter((outcome) => {
    const { headers, body } = outcome.response;
    const isProblem = headers['content-type']?.startsWith('application/problem+json') && body.status === 503;
    return !isServed(outcome) && !(isUnavailable(outcome) && isProblem && headers['retry-after'] === '1');
  });
  expect(wrong.map(({ kind, response: { status, text } }) => ({ kind, status, text }))).toEqual([]);
  const late = outcomes.filter(({ ms }) => ms > 2000);
  expect(late.map(({ kind, ms, response: { status } }) => ({ kind, ms, status }))).toEqual([]);
}

/** Every acknowledged task exists exactly once, also after failed requests are retried with their key. */
export async function expectExactlyOnce(url: string, database: pg.ClientBase, outcomes: Outcome[]): Promise<void> {
  const retries: Outcome[] = [];
  for (const outcome of outcomes.filter((each) => 'Idempotency-Key' in each.headers && !isServed(each))) {
    retries.push(await retryRequest(url, outcome));
  }
  expect(retries.map(({ response }) => response.status)).toEqual(retries.map(() => 201));
  const { rows } = await database.query<{ title: string; count: number }>(
    'select title, count(*)::int as count from task_service.tasks group by title',
  );
  const counts = new Map(rows.map(({ title, count }) => [title, count]));
  const created = [...outcomes, ...retries].filter(({ response }) => response.status === 201);
  expect(created.filter(({ title }) => counts.get(title) !== 1)).toEqual([]);
  expect(rows.filter(({ count }) => count !== 1)).toEqual([]);
}
