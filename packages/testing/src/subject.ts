/** The service under test, and helpers that send requests to it. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '@task-manager/runtime/postgres/database';
import type { Health } from '@task-manager/runtime/http/health';

export interface Subject {
  /** The folder in `services/`. */
  name: string;
  handlers: (health: Health) => Record<string, unknown>;
  /** The path of the POST operation that creates a resource, a valid body, and the name of a text field in it. */
  create: string;
  body: Record<string, string>;
  text: string;
  /** The defaults of the optional fields. */
  defaults: object;
  /** The path of the POST operation that creates many resources from `{ items }`. */
  batch?: string;
  /** The path of the GET operation that lists the resources. Each resource and the feed are below it. */
  list: string;
  listOperation: string;
  /** The event types of the feed. */
  events: { created: string; changed: string; deleted: string };
  /** With its schema. */
  table: string;
  /** The base path behind the gateway. */
  prefix: string;
  /** Makes a body that the service rejects with 409. */
  conflicts: (base: string) => Promise<object>;
}

export interface TestResponse {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  body: Record<string, unknown>;
}

export const json = { 'Content-Type': 'application/json' };

/** Replaces the handler of the list operation. */
export function withListHandler(
  { handlers, listOperation }: Subject,
  handle: (request: { db: Queryable }) => Promise<object>,
) {
  return (health: Health) => ({ ...handlers(health), [listOperation]: handle });
}

/** A valid id that no resource has. */
export const unknownId = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';

/** Retries after `Retry-After` for as long as the service returns 503. */
export async function retryWhileUnavailable(send: () => Promise<TestResponse>): Promise<TestResponse> {
  for (;;) {
    const response = await send();
    if (response.status !== 503) return response;
    await sleep(Number(response.headers['retry-after']) * 1000);
  }
}

/** Sends a request unchanged: `fetch` would correct some of them. */
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

/** Sends a request; the caller may close the response before its end. */
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

/** Makes bodies with a new text, and a new email where the body has one. */
export function newBodies({ body, text }: Subject): () => Record<string, string> {
  let count = 0;
  return () => {
    count += 1;
    return { ...body, [text]: `Number ${count}`, ...(body.email && { email: `${count}.${body.email}` }) };
  };
}
