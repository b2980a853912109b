/** A service under the conventions that every service follows, and how its tests send requests to it. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '@task-manager/runtime/postgres/database';
import type { Health } from '@task-manager/runtime/http/health';

export interface Subject {
  /** The service, and what makes its handlers. */
  name: string;
  handlers: (health: Health) => Record<string, unknown>;
  /** A path that creates by POST, a body that it takes, and the name of one of its texts. */
  create: string;
  body: Record<string, string>;
  text: string;
  /** What the fields of the body are that may be left out, when they are. */
  defaults: object;
  /** A path that creates many by POST of `{ items }`, if there is one. */
  batch?: string;
  /** A path that lists by GET, and the operation behind it. What was created lies below it, and so does the feed. */
  list: string;
  listOperation: string;
  /** What the feed says when one was created, changed and deleted. */
  events: { created: string; changed: string; deleted: string };
  /** The table that it writes. */
  table: string;
  /** The prefix that the service has outside. */
  prefix: string;
  /** Makes a body that conflicts with what there is. */
  conflicts: (base: string) => Promise<object>;
}

export interface TestResponse {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  body: Record<string, unknown>;
}

export const json = { 'Content-Type': 'application/json' };

/** Handlers of which the one that lists does this. */
export function listingBy(
  { handlers, listOperation }: Subject,
  handle: (request: { db: Queryable }) => Promise<object>,
) {
  return (health: Health) => ({ ...handlers(health), [listOperation]: handle });
}

/** The id of nothing and nobody. */
export const unknownId = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';

/** Sends it again when told to, as a client does whom the service had no time for. */
export async function untilServed(send: () => Promise<TestResponse>): Promise<TestResponse> {
  for (;;) {
    const answer = await send();
    if (answer.status !== 503) return answer;
    await sleep(Number(answer.headers['retry-after']) * 1000);
  }
}

/** Sends one request as it is given; `fetch` would mend some of it. */
export async function send(
  url: string,
  method: string,
  headers: Record<string, string> = {},
  body?: string | Buffer,
): Promise<TestResponse> {
  const res = await open(url, method, headers, body);
  const text = (await buffer(res)).toString();
  const isJson = /json/.test(res.headers['content-type'] ?? '') && text !== '';
  return {
    status: res.statusCode ?? 0,
    headers: res.headers,
    text,
    body: isJson ? (JSON.parse(text) as TestResponse['body']) : {},
  };
}

/** Sends one request; whoever reads the answer may leave before its end. */
export async function open(
  url: string,
  method: string,
  headers: Record<string, string>,
  body?: string | Buffer,
): Promise<IncomingMessage> {
  const req = httpRequest(url, { method, headers, setHost: !('X-No-Host' in headers), agent: false });
  req.end(body);
  return new Promise((resolve, reject) => {
    req.once('response', resolve).once('error', reject);
  });
}

/** Bodies that differ from all before, in their text and in what nobody else may have. */
export function newBodies({ body, text }: Subject): () => Record<string, string> {
  let made = 0;
  return () => {
    made += 1;
    return { ...body, [text]: `Number ${made}`, ...(body.email && { email: `${made}.${body.email}` }) };
  };
}
