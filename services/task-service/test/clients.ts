/** Clients of the task service that send every kind of request, and write down what became of each. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import type pg from 'pg';
import { absentId, json, send, type Answer } from '@task-manager/testing/subject';
import { alice } from './stub-users.ts';

interface Sent {
  kind: Kind;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
  /** That of the task that it creates, which nobody else's has. */
  title: string;
}

/** A request that has its answer, or of which none came: that has the status 0. */
export interface Outcome extends Sent {
  answer: Answer;
  ms: number;
  /** Of `performance.now()`. */
  endedAt: number;
}

const kinds = {
  'a POST': ['POST', '/tasks', {}, (title: string) => ({ title })],
  'a POST that assigns': ['POST', '/tasks', {}, (title: string) => ({ title, assigneeId: alice })],
  'a POST with a key': ['POST', '/tasks', { 'Idempotency-Key': true }, (title: string) => ({ title })],
  'a POST of many with a key': [
    'POST',
    '/tasks/batch',
    { 'Idempotency-Key': true },
    (title: string) => ({ items: [{ title, assigneeId: alice }] }),
  ],
  'a GET': ['GET', `/tasks/${absentId}`],
  'a list': ['GET', '/tasks?limit=3'],
  'a list of several statements': ['GET', '/tasks?limit=100&sort=dueDate&label=faults'],
  'a feed': ['GET', '/tasks/feed?cursor=latest'],
  'a PATCH': ['PATCH', `/tasks/${absentId}`, {}, (title: string) => ({ title })],
  'a PATCH that assigns': ['PATCH', `/tasks/${absentId}`, {}, () => ({ assigneeId: alice })],
  'a DELETE': ['DELETE', `/tasks/${absentId}`],
} satisfies Record<string, [string, string, object?, ((title: string) => object)?]>;

export type Kind = keyof typeof kinds;
export const everyKind = Object.keys(kinds) as Kind[];

export function newRequest(kind: Kind): Sent {
  const [method, path, headers = {}, bodyOf] = kinds[kind] as [string, string, object?, ((title: string) => object)?];
  const title = randomUUID();
  const key = 'Idempotency-Key' in headers ? { 'Idempotency-Key': title } : {};
  const body = bodyOf && JSON.stringify(bodyOf(title));
  return { kind, method, path, headers: { ...(body !== undefined && json), ...key }, body, title };
}

/** Sends it, for the first time or again. */
export async function ask(url: string, request: Sent): Promise<Outcome> {
  const startedAt = performance.now();
  const { method, path, headers, body } = request;
  const answer = await send(url + path, method, headers, body).catch(() => noAnswer);
  const endedAt = performance.now();
  return { ...request, answer, ms: endedAt - startedAt, endedAt };
}

/** Sends it again, as often as it takes while the first is still in flight. */
export async function askAgain(url: string, request: Sent): Promise<Outcome> {
  for (;;) {
    const outcome = await ask(url, request);
    if (outcome.answer.status !== 409) return outcome;
    await sleep(10);
  }
}

const noAnswer: Answer = { status: 0, headers: {}, text: '', body: {} };

/** Several requests of every kind at once, more than there are connections. */
export function askAll(url: string, times = 3): Promise<Outcome[]> {
  return Promise.all(
    Array.from({ length: times }, () => everyKind)
      .flat()
      .map((kind) => ask(url, newRequest(kind))),
  );
}

/** Clients that go on, each with one request after the other, until they are told to stop; then what became of all. */
export function keepAsking(url: string, clients = 4): { created: () => number; stop: () => Promise<Outcome[]> } {
  const outcomes: Outcome[] = [];
  let isOver = false;
  const asking = Array.from({ length: clients }, async (_, client) => {
    for (let turn = client; !isOver; turn++) {
      outcomes.push(await ask(url, newRequest(everyKind[turn % everyKind.length] as Kind)));
      await sleep(10);
    }
  });
  return {
    created: () => outcomes.filter(({ answer }) => answer.status === 201).length,
    async stop() {
      isOver = true;
      await Promise.all(asking);
      return outcomes;
    },
  };
}

export const isGood = ({ answer: { status } }: Outcome) => [200, 201, 204, 404].includes(status);
export const isRefused = ({ answer: { status } }: Outcome) => status === 503;

/** Each has a good answer or is refused as a service does that cannot help it now; and within 2.0 s. */
export function expectAnswered(outcomes: Outcome[]): void {
  const wrong = outcomes.filter((outcome) => {
    const { headers, body } = outcome.answer;
    const isProblem = headers['content-type']?.startsWith('application/problem+json') && body.status === 503;
    return !isGood(outcome) && !(isRefused(outcome) && isProblem && headers['retry-after'] === '1');
  });
  expect(wrong.map(({ kind, answer: { status, text } }) => ({ kind, status, text }))).toEqual([]);
  const late = outcomes.filter(({ ms }) => ms > 2000);
  expect(late.map(({ kind, ms, answer: { status } }) => ({ kind, ms, status }))).toEqual([]);
}

/** What was acknowledged is there, and nothing is there twice, also when what had no good answer is sent again with its key. */
export async function expectNothingLost(url: string, database: pg.ClientBase, outcomes: Outcome[]): Promise<void> {
  const again: Outcome[] = [];
  for (const outcome of outcomes.filter((each) => 'Idempotency-Key' in each.headers && !isGood(each))) {
    again.push(await askAgain(url, outcome));
  }
  expect(again.map(({ answer }) => answer.status)).toEqual(again.map(() => 201));
  const { rows } = await database.query<{ title: string; count: number }>(
    'select title, count(*)::int as count from task_service.tasks group by title',
  );
  const counts = new Map(rows.map(({ title, count }) => [title, count]));
  const created = [...outcomes, ...again].filter(({ answer }) => answer.status === 201);
  expect(created.filter(({ title }) => counts.get(title) !== 1)).toEqual([]);
  expect(rows.filter(({ count }) => count !== 1)).toEqual([]);
}
