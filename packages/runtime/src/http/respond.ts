/** Answers → what goes over the wire: headers, conditional requests (RFC 9110 §13), links (RFC 8288), streams. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { IncomingMessage } from 'node:http';
import { etagOf, isNamed } from './etag.ts';
import type { FaultsOf } from './validate-response.ts';
import type { Answered } from './dispatch.ts';
import type { Contract } from '../contract/document.ts';
import type { Known, Outgoing } from './context.ts';
import type { ProblemDetails } from '../contract/handlers.ts';
import type { Health } from './health.ts';
import { basePathOf, problemOf, toProblem } from './problems.ts';
import { overloaded } from '../errors.ts';

/** What goes over the wire, but for the headers that every answer has. */
export interface Reply {
  status: number;
  /** Names and values in turn, as Node writes them. */
  headers: string[];
  body?: string | Buffer;
  stream?: AsyncIterable<string>;
}

/** The one way out: every answer that the contract has, from whatever layer, leaves here. */
export interface Replies {
  /** Sends what a handler answered. Resolves when it is on its way or, of a stream, over. */
  answer(req: IncomingMessage, res: Outgoing, answer: Answered): Promise<void> | void;
  /** Sends whatever was thrown as a problem. Nothing of an unforeseen error leaves the service. */
  fail(res: Outgoing, error: unknown): void;
}

/** `always` are the headers of every answer; `faultsOf` says what is wrong with one, where answers are held to the contract. */
export function replies(contract: Contract, health: Health, always: string[], faultsOf: FaultsOf | undefined): Replies {
  function send(res: Outgoing, { status, headers, body, stream }: Reply): void {
    const all = always.slice();
    all.push('X-Request-Id', res.locals.requestId, ...headers);
    // What began before the stop ends after it, and a stream has no next request: their connections must not be kept.
    if (stream || health.stopping.aborted) all.push('Connection', 'close');
    if (body !== undefined) all.push('Content-Length', String(Buffer.byteLength(body)));
    res.writeHead(status, all);
    if (stream) res.flushHeaders();
    else res.end(body);
  }

  function problem(res: Outgoing, status: number, details: ProblemDetails): Reply {
    return problemOf(contract, res.locals, status, details);
  }

  /** Sends a reply that is as the contract has it, and otherwise one that says that it was not. */
  function sendChecked(res: Outgoing, reply: Reply): boolean {
    const faults = faultsOf?.(res, reply);
    if (faults?.length) {
      res.locals.error = new Error(`the answer leaves the contract: ${faults.join('; ')}`);
      send(res, problem(res, 500, { detail: 'The answer was not as the contract has it.' }));
      return false;
    }
    send(res, reply);
    return true;
  }

  function fail(res: Outgoing, error: unknown): void {
    const { status, ...details } = toProblem(error);
    if (status >= 500 && error !== overloaded)
      res.locals.error = error instanceof Error ? error : new Error(String(error));
    try {
      if (res.headersSent) res.destroy();
      else sendChecked(res, problem(res, status, details));
    } catch (bug) {
      // The problem itself could not be written. Nobody stands behind this exit: what is thrown here ends the process.
      if (status !== 500) {
        fail(res, bug);
      } else {
        res.locals.error = new Error('the problem could not be sent', { cause: bug });
        res.destroy();
      }
    }
  }

  return {
    answer(req, res, answer) {
      const reply = answer.problem
        ? problem(res, answer.status, answer.problem)
        : success(contract, req, res.locals, answer);
      if (!sendChecked(res, reply) || !reply.stream) return undefined;
      if (!res.locals.head) return pipeline(Readable.from(reply.stream), res).catch(unlessGone);
      res.end();
    },

    fail,
  };
}

function success(
  contract: Contract,
  req: IncomingMessage,
  { url, operation }: Known,
  { status, headers: given = {}, body, stream, replayed }: Answered,
): Reply {
  const declared = operation?.responses.get(status);
  const headers = declared ? declared.constants.slice() : [];
  for (const name in given) {
    const value = given[name] as string;
    headers.push(name, name === 'Location' ? basePathOf(contract, url) + value : value);
  }
  if (replayed) headers.push('Idempotent-Replayed', 'true');
  if (stream) {
    headers.push('Content-Type', 'text/event-stream; charset=utf-8');
    return { status, headers, stream };
  }
  if (body === undefined) return { status, headers };
  const { bytes, etag, link } = render(body as object, url);
  if (declared?.headers.has('ETag')) {
    headers.push('ETag', etag);
    if (req.method === 'GET' && isNamed(req.headers['if-none-match'], etag)) return { status: 304, headers };
  }
  if (link !== undefined && declared?.headers.has('Link')) headers.push('Link', link);
  headers.push('Content-Type', 'application/json; charset=utf-8');
  return { status, headers, body: bytes };
}

/** A body as it is sent, with what its headers say of it. */
interface Rendered {
  bytes: string | Buffer;
  etag: string;
  /** Where the next page is, for one who came from this address. */
  link: string | undefined;
  url: string;
}

/** Pages are shared by all who asked for the same at the same time: they are written, hashed and encoded once. */
const pages = new WeakMap<object, Rendered>();

function render(body: { nextCursor?: string | null; version?: number }, url: string): Rendered {
  const isPage = 'nextCursor' in body;
  const known = isPage ? pages.get(body) : undefined;
  if (known?.url === url) return known;
  const json = JSON.stringify(body);
  const etag = etagOf(body, json);
  const rendered = { bytes: isPage ? Buffer.from(json) : json, etag, link: linkToNext(url, body), url };
  if (isPage) pages.set(body, rendered);
  return rendered;
}

/** The address of the next page (RFC 8288), if there is one: this one with another cursor. */
function linkToNext(url: string, { nextCursor }: { nextCursor?: string | null }): string | undefined {
  if (!nextCursor) return undefined;
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  searchParams.set('cursor', nextCursor);
  return `<${pathname}?${searchParams.toString()}>; rel="next"`;
}

function unlessGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
}
