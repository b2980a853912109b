/** Results → responses: headers, conditional requests (RFC 9110 §13), links (RFC 8288), event streams, problems. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Contract } from '../contract/document.ts';
import type { ProblemDetails } from '../contract/handlers.ts';
import { overloaded } from '../errors.ts';
import { basePathOf, contextOf, type Context, type Reply, type Result } from './context.ts';
import { matchesEtag } from './etag.ts';
import { problemReply, toProblem } from './problems.ts';
import type { FindViolations } from './validate-response.ts';

export interface Responder {
  respond(req: IncomingMessage, res: ServerResponse, result: Result): Promise<void> | void;
  /** Sends a problem for what was thrown. An unexpected error is logged, and its text stays in the service. */
  fail(res: ServerResponse, error: unknown): void;
}

export interface ResponderOptions {
  contract: Contract;
  stopping: AbortSignal;
  commonHeaders: string[];
  findViolations: FindViolations | undefined;
}

export function createResponder({ contract, stopping, commonHeaders, findViolations }: ResponderOptions): Responder {
  function send(res: ServerResponse, { status, headers, body, stream }: Reply): void {
    const all = commonHeaders.slice();
    all.push('X-Request-Id', contextOf(res).requestId, ...headers);
    joinVary(all);
    // A stopping service closes its connections, and a connection is of no use after a stream.
    if (stream || stopping.aborted) all.push('Connection', 'close');
    if (body !== undefined) all.push('Content-Length', String(Buffer.byteLength(body)));
    res.writeHead(status, all);
    if (stream) res.flushHeaders();
    else res.end(body);
  }

  function problem(res: ServerResponse, status: number, details: ProblemDetails): Reply {
    return problemReply(contract, contextOf(res), status, details);
  }

  /** Sends a 500 instead of a response that breaks the contract; returns whether the response was valid. */
  function sendValidated(res: ServerResponse, reply: Reply): boolean {
    const violations = findViolations?.(res, reply);
    if (violations?.length) {
      contextOf(res).error = new Error(`the response breaks the contract: ${violations.join('; ')}`);
      send(res, problem(res, 500, { detail: 'The response did not match the contract.' }));
      return false;
    }
    send(res, reply);
    return true;
  }

  function fail(res: ServerResponse, error: unknown): void {
    const context = contextOf(res);
    const { status, ...details } = toProblem(error);
    if (status >= 500 && error !== overloaded)
      context.error = error instanceof Error ? error : new Error(String(error));
    try {
      if (res.headersSent) res.destroy();
      else sendValidated(res, problem(res, status, details));
    } catch (bug) {
      // An error thrown here would end the process.
      if (status !== 500) {
        fail(res, bug);
      } else {
        context.error = new Error('the problem could not be sent', { cause: bug });
        res.destroy();
      }
    }
  }

  return {
    respond(req, res, result) {
      const context = contextOf(res);
      const reply = result.problem
        ? problem(res, result.status, result.problem)
        : successReply(contract, req, context, result);
      if (!sendValidated(res, reply) || !reply.stream) return undefined;
      if (!context.isHead)
        return pipeline(Readable.from(reply.stream, { objectMode: false }), res).catch(ignoreDisconnect);
      res.end();
    },

    fail,
  };
}

/** Joins the `vary` of CORS and the `Vary` of the contract: Node 20 would send only the second. */
function joinVary(headers: string[]): void {
  const [common, own] = [headers.indexOf('vary'), headers.indexOf('Vary')];
  if (common < 0 || own < 0) return;
  headers[own + 1] = `${headers[common + 1]}, ${headers[own + 1]}`;
  headers.splice(common, 2);
}

function successReply(
  contract: Contract,
  req: IncomingMessage,
  { url, operation }: Context,
  { status, headers: resultHeaders = {}, body, stream, replayed }: Result,
): Reply {
  const declared = operation?.responses.get(status);
  const headers = declared ? declared.constants.slice() : [];
  for (const name in resultHeaders) {
    const value = resultHeaders[name] as string;
    headers.push(name, name === 'Location' ? basePathOf(contract, url) + value : value);
  }
  if (replayed) headers.push('Idempotent-Replayed', 'true');
  if (stream) {
    headers.push('Content-Type', 'text/event-stream; charset=utf-8');
    return { status, headers, stream };
  }
  if (body === undefined) return { status, headers };
  const { bytes, etag, link } = serialize(body as object, url);
  if (declared?.headers.has('ETag')) {
    headers.push('ETag', etag);
    const ifNoneMatch = req.headers['if-none-match'];
    if (ifNoneMatch !== undefined && req.method === 'GET' && matchesEtag(ifNoneMatch, etag)) {
      return { status: 304, headers };
    }
  }
  if (link !== undefined && declared?.headers.has('Link')) headers.push('Link', link);
  headers.push('Content-Type', 'application/json; charset=utf-8');
  return { status, headers, body: bytes };
}

interface Serialized {
  bytes: string | Buffer;
  etag: string;
  link: string | undefined;
  url: string;
}

/** Concurrent requests for one page share its object: it is serialized, hashed and encoded once. */
const pages = new WeakMap<object, Serialized>();

function serialize(body: { nextCursor?: string | null; version?: number }, url: string): Serialized {
  const isPage = 'nextCursor' in body;
  const cached = isPage ? pages.get(body) : undefined;
  if (cached?.url === url) return cached;
  const json = JSON.stringify(body);
  const bytes = isPage ? Buffer.from(json) : json;
  const serialized = { bytes, etag: etagOf(body, json), link: nextLink(url, body), url };
  if (isPage) pages.set(body, serialized);
  return serialized;
}

function etagOf({ version }: { version?: number }, json: string): string {
  if (version !== undefined) return `"${version}"`;
  return `"${createHash('sha1').update(json).digest('base64url')}"`;
}

/** The link to the next page (RFC 8288): the same URL with another cursor. */
function nextLink(url: string, { nextCursor }: { nextCursor?: string | null }): string | undefined {
  if (!nextCursor) return undefined;
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  searchParams.set('cursor', nextCursor);
  return `<${pathname}?${searchParams.toString()}>; rel="next"`;
}

function ignoreDisconnect(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
}
