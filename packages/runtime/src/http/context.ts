import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Contract, Operation } from '../contract/document.ts';
import type { HandlerResult } from '../contract/handlers.ts';
import type { Route, Router } from '../contract/router.ts';
import { newId } from '../ids.ts';

/** The state of one request; Express shows it as `res.locals`. */
export interface Context {
  /** Echoes a valid client-supplied `X-Request-Id`; otherwise generated. */
  requestId: string;
  /** As received, with prefix and query. */
  url: string;
  startedMs: number;
  route: Route | undefined;
  operation: Operation | undefined;
  /** HEAD is handled as GET without the body (RFC 9110 §9.3.2). */
  isHead: boolean;
  /** The client whose requests are counted; undefined without a rate limit. */
  client: string | undefined;
  params: Record<string, string> | undefined;
  accept: string | undefined;
  /** The request body, where the fast path has read it already. */
  bytes: Buffer | undefined;
  /** The cause of a 5xx response, for the log. */
  error: Error | undefined;
}

export interface ValidRequest {
  path: unknown;
  query: unknown;
  headers: Record<string, string | undefined>;
  body: unknown;
  accept: unknown;
}

export type Result = HandlerResult & { replayed?: true };

/** A response before the headers that every response has. */
export interface Reply {
  status: number;
  headers: string[];
  body?: string | Buffer;
  stream?: AsyncIterable<string | Uint8Array>;
}

export type Listener = (req: IncomingMessage, res: ServerResponse) => void;

/** A stage of the pipeline: it responds, or calls `next`, now or later. */
export type Stage = (req: IncomingMessage, res: ServerResponse, next: () => void) => void;

export type Reject = (req: IncomingMessage, res: ServerResponse, error: unknown) => void;

/** Joins stages into a listener. The last stage must respond. */
export function pipeline(stages: Stage[]): Listener {
  return stages.reduceRight<Listener>(
    (next, stage) => (req, res) => {
      stage(req, res, () => {
        next(req, res);
      });
    },
    () => undefined,
  );
}

export function contextOf(res: ServerResponse): Context {
  return (res as ServerResponse & { locals: Context }).locals;
}

/** The first stage: attaches the context. While the service stops, each connection closes after its response. */
export function openContext(findRoute: Router, stopping: AbortSignal): Stage {
  return (req, res, next) => {
    (res as ServerResponse & { locals: Context }).locals = createContext(req, findRoute);
    if (stopping.aborted) res.setHeader('Connection', 'close');
    next();
  };
}

function createContext(req: IncomingMessage, findRoute: Router): Context {
  const { url = '/', headers } = req;
  const clientId = headers['x-request-id'];
  const isValid = typeof clientId === 'string' && /^[A-Za-z0-9._~:/+=@-]{1,128}$/.test(clientId);
  // All fields from the start, so that V8 keeps one hidden class for all contexts.
  return {
    requestId: isValid ? clientId : newId(),
    url,
    startedMs: performance.now(),
    route: findRoute(pathOf(url)),
    operation: undefined,
    isHead: false,
    client: undefined,
    params: undefined,
    accept: undefined,
    bytes: undefined,
    error: undefined,
  };
}

export function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

/** The prefix of a URL, among those of the contract's servers. */
export function basePathOf({ basePaths }: Contract, url: string): string {
  return basePaths.find((base) => url.startsWith(`${base}/`)) ?? '';
}

/** RFC 9112 §6.3. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}
