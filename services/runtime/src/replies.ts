/** Answers → what goes over the wire: headers, conditional requests (RFC 9110 §13), links (RFC 8288), streams. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { IncomingMessage } from 'node:http';
import { etagOf, isNamed } from './conditional.ts';
import type { FaultsOf } from './conformance.ts';
import type { Answered } from './answers.ts';
import type { Contract } from './contract.ts';
import type { Known, Outgoing } from './exchange.ts';
import type { ProblemDetails } from './handlers.ts';
import type { Health } from './health.ts';
import { basePathOf, problemOf, toProblem } from './problems.ts';

/** What goes over the wire, but for the headers that every answer has. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  body?: string;
  stream?: AsyncIterable<string>;
}

/** The one way out: every answer that the contract has, from whatever layer, leaves here. */
export interface Replies {
  /** Sends what a handler answered. */
  answer(req: IncomingMessage, res: Outgoing, answer: Answered): Promise<void>;
  /** Sends whatever was thrown as a problem. Nothing of an unforeseen error leaves the service. */
  fail(res: Outgoing, error: unknown): void;
}

/** `always` are the headers of every answer; `faultsOf` says what is wrong with one, where answers are held to the contract. */
export function replies(
  contract: Contract,
  health: Health,
  always: Record<string, string>,
  faultsOf: FaultsOf | undefined,
): Replies {
  function send(res: Outgoing, { status, headers, body, stream }: Reply): void {
    const { requestId } = res.locals;
    const all: Record<string, string | number> = { ...always, 'X-Request-Id': requestId, ...headers };
    // What began before the stop ends after it, and a stream has no next request: their connections must not be kept.
    if (stream || health.stopping.aborted) all.Connection = 'close';
    if (body !== undefined) all['Content-Length'] = Buffer.byteLength(body);
    res.writeHead(status, all);
    if (stream) res.flushHeaders();
    else res.end(body);
  }

  function problem(res: Outgoing, status: number, details: ProblemDetails): Reply {
    return problemOf(contract, res.locals, status, details);
  }

  function sendChecked(res: Outgoing, reply: Reply): Reply {
    const faults = faultsOf?.(res, reply);
    if (!faults?.length) {
      send(res, reply);
      return reply;
    }
    res.locals.error = new Error(`the answer leaves the contract: ${faults.join('; ')}`);
    const replacement = problem(res, 500, { detail: 'The answer was not as the contract has it.' });
    send(res, replacement);
    return replacement;
  }

  return {
    async answer(req, res, answer) {
      const reply = answer.problem
        ? problem(res, answer.status, answer.problem)
        : success(contract, req, res.locals, answer);
      const { stream } = sendChecked(res, reply);
      if (stream && res.locals.head) res.end();
      else if (stream) await pipeline(Readable.from(stream), res).catch(unlessGone);
    },

    fail(res, error) {
      const { status, ...details } = toProblem(error);
      if (status >= 500) res.locals.error = error instanceof Error ? error : new Error(String(error));
      if (res.headersSent) res.destroy();
      else sendChecked(res, problem(res, status, details));
    },
  };
}

function success(
  contract: Contract,
  req: IncomingMessage,
  { url, operation }: Known,
  { status, headers: given, body, stream, replayed }: Answered,
): Reply {
  const declared = operation?.responses.get(status);
  const headers: Record<string, string> = { ...declared?.constants };
  for (const [name, value] of Object.entries(given ?? {})) {
    headers[name] = name === 'Location' ? basePathOf(contract, url) + value : value;
  }
  if (replayed) headers['Idempotent-Replayed'] = 'true';
  if (stream) return { status, headers: { ...headers, 'Content-Type': 'text/event-stream; charset=utf-8' }, stream };
  if (body === undefined) return { status, headers };
  const rendered = render(body as object, url);
  if (declared?.headers.has('ETag')) headers.ETag = rendered.etag;
  if (req.method === 'GET' && isNamed(req.headers['if-none-match'], headers.ETag)) return { status: 304, headers };
  if (declared?.headers.has('Link') && rendered.link) headers.Link = rendered.link;
  headers['Content-Type'] = 'application/json; charset=utf-8';
  return { status, headers, body: rendered.json };
}

/** A body as it is sent, with what its headers say of it. */
interface Rendered {
  json: string;
  etag: string;
  /** Where the next page is, for one who came from this address. */
  url: string;
  link: string | undefined;
}

/** Pages are shared by all who asked for the same at the same time: they are written and hashed once. */
const pages = new WeakMap<object, Rendered>();

function render(body: object, url: string): Rendered {
  const known = pages.get(body);
  if (known?.url === url) return known;
  const json = JSON.stringify(body);
  const rendered = { json, etag: etagOf(body, json), url, link: linkToNext(url, body) };
  if ('nextCursor' in body) pages.set(body, rendered);
  return rendered;
}

/** The address of the next page (RFC 8288), if there is one: this one with another cursor. */
function linkToNext(url: string, body: { nextCursor?: string | null }): string | undefined {
  if (!body.nextCursor) return undefined;
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  searchParams.set('cursor', body.nextCursor);
  return `<${pathname}?${searchParams.toString()}>; rel="next"`;
}

function unlessGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
}
