/** Contract + handlers → Express app. The contract is the route table; the middleware stands here in order. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import cors from 'cors';
import express, { type Express, type RequestHandler, type Request, type Response } from 'express';
import * as OpenApiValidator from 'express-openapi-validator';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { etagOf, isNamed } from './conditional.ts';
import { holdToContract } from './conformance.ts';
import type { Contract, Document, Operation } from './contract.ts';
import type { Database, Queryable } from './database.ts';
import type { Answer } from './handlers.ts';
import type { Health } from './health.ts';
import { once } from './idempotency.ts';
import { logRequests } from './log.ts';
import type { Metrics } from './metrics.ts';
import { pages } from './pages.ts';
import { basePathOf, problemHandler, sendProblem } from './problems.ts';
import { findOperation, readJson, refuseMalformed, refuseUnstorable, requireOperation } from './requests.ts';

export interface Service {
  contract: Contract;
  /** The contract of the whole system, if it is this service that shows it at `/docs`. */
  docs?: Contract;
  /** What `implement<operations>()` made. */
  handlers: object;
  db: Database;
  health: Health;
  metrics: Metrics;
  logger: Logger;
  /** Whether each answer is held to the contract too; one that breaks it becomes a 500. */
  validateResponses: boolean;
  /** The origins whose pages may read answers (the Fetch standard's CORS); `*` is any. */
  corsOrigins: string[];
}

/** Makes the app that answers every operation of the contract, and with a problem everything else. */
export function createService(service: Service): Express {
  const { contract, docs, handlers, db, health, metrics, logger, validateResponses } = service;
  const app = express();
  app.enable('case sensitive routing').enable('strict routing').disable('x-powered-by').disable('etag');
  app.set('query parser', 'simple');

  app.use(logRequests(logger), metrics.observe, securityHeaders, closeWhenStopping(health));
  if (validateResponses) app.use(holdToContract(contract));
  if (service.corsOrigins.length > 0) app.use(shareAcrossOrigins(contract, service.corsOrigins));
  app.use(refuseMalformed);
  const shown = pages(contract, docs);
  for (const basePath of contract.basePaths) app.use(basePath || '/', shown);
  for (const basePath of contract.basePaths) {
    for (const path of new Set(contract.operations.map((operation) => operation.path))) {
      const operations = contract.operations.filter((operation) => operation.path === path);
      app.all(basePath + path.replace(/\{(\w+)\}/g, ':$1'), findOperation(operations));
    }
  }
  app.use(requireOperation, readJson, refuseUnstorable);
  app.use(
    OpenApiValidator.middleware({
      apiSpec: forValidator(contract.document) as never,
      // The tests do that, so that a start need not.
      validateApiSpec: false,
      validateRequests: { allErrors: true },
      // See holdToContract.
      validateResponses: false,
      validateSecurity: false,
      fileUploader: false,
      ajvFormats: { mode: 'full' },
    }),
  );
  app.use(dispatch(contract, handlers as Record<string, Handler | undefined>, db, health));
  app.use(problemHandler(contract));
  return app;
}

/**
 * A copy, because the validator changes what it is given. It would refuse `?email=a@b.example` and `?q=two+words`, for
 * reserved characters that a query may hold (RFC 3986 §3.4): each parameter allows them.
 */
function forValidator(document: Document): unknown {
  return JSON.parse(JSON.stringify(document), (_key, value: unknown) => {
    const isQueryParameter = typeof value === 'object' && value !== null && 'in' in value && value.in === 'query';
    return isQueryParameter ? { ...value, allowReserved: true } : value;
  });
}

/** What every handler is, seen from here; `implement()` has checked what each takes and answers. */
type Handler = (request: {
  path: unknown;
  query: unknown;
  headers: unknown;
  body: unknown;
  accept: unknown;
  db: Queryable;
  signal: AbortSignal;
}) => Promise<Answer>;

/** What the validator leaves on a request that it has matched. */
type OpenApiRequest = Request & { openapi: { pathParams: Record<string, string> } };

const securityHeaders = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  // Browsers complain of these on plain http, which is what the Ingress speaks.
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
});

function closeWhenStopping(health: Health): RequestHandler {
  return (_req, res, next) => {
    if (health.stopping.aborted) res.set('Connection', 'close');
    next();
  };
}

/** Lets pages of these origins send what the contract has, and read every header that it has. */
function shareAcrossOrigins({ operations, headers }: Contract, origins: string[]): RequestHandler {
  const sent = operations.flatMap(({ parameters }) => parameters.filter((each) => each.in === 'header'));
  return cors({
    origin: origins.includes('*') ? '*' : origins,
    methods: [...new Set(operations.map(({ method }) => method))],
    allowedHeaders: [...new Set(['Content-Type', 'X-Request-Id', ...sent.map(({ name }) => name)])],
    exposedHeaders: [...headers],
    maxAge: 600,
    // The path answers OPTIONS itself, with Allow.
    preflightContinue: true,
  });
}

/** Calls the operation's handler, once for each idempotency key, and sends what it answers. */
function dispatch(
  contract: Contract,
  handlers: Record<string, Handler | undefined>,
  db: Database,
  health: Health,
): RequestHandler {
  return async (req, res) => {
    const operation = res.locals.operation as Operation;
    const handle = handlers[operation.operationId];
    if (!handle) throw new Error(`no handler for ${operation.operationId}`);
    const headers = headersOf(operation, req);
    const run = (queryable: Queryable) =>
      handle({
        path: (req as OpenApiRequest).openapi.pathParams,
        query: req.query,
        headers,
        body: req.body,
        accept: res.locals.accept,
        db: queryable,
        get signal() {
          return endOf(res, health.stopping);
        },
      });
    const key = headers['Idempotency-Key'];
    const answer =
      key === undefined
        ? await run(db)
        : await once(db, { key, operationId: operation.operationId, body: req.body }, run);
    // What began before the stop ends after it, and a stream has no next request: their connections must not be kept.
    if (health.stopping.aborted || answer.stream) res.set('Connection', 'close');
    await send(contract, req, res, answer);
  };
}

/** The headers that the contract has for it, by their names there. */
function headersOf({ parameters }: Operation, req: Request): Record<string, string | undefined> {
  const names = parameters.filter((each) => each.in === 'header').map(({ name }) => name);
  return Object.fromEntries(names.map((name) => [name, req.get(name)]));
}

/** Comes when the client has closed the connection or has its answer, or when the service stops. */
function endOf(res: Response, stopping: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const end = () => {
    stopping.removeEventListener('abort', end);
    controller.abort();
  };
  stopping.addEventListener('abort', end);
  res.once('close', end);
  if (stopping.aborted) end();
  return controller.signal;
}

async function send(
  contract: Contract,
  req: Request,
  res: Response,
  { status, headers = {}, body, problem, stream, replayed }: Answer & { replayed?: true },
): Promise<void> {
  if (problem) {
    sendProblem(contract, req, res, status, problem);
    return;
  }
  const declared = (res.locals.operation as Operation).responses.get(status);
  res.status(status).set({ ...declared?.constants });
  for (const [name, value] of Object.entries(headers)) {
    res.set(name, name === 'Location' ? basePathOf(contract, req) + value : value);
  }
  if (replayed) res.set('Idempotent-Replayed', 'true');
  if (declared?.headers.has('ETag') && body !== undefined) res.set('ETag', etagOf(body));
  const isKnown = req.method === 'GET' && isNamed(req.get('If-None-Match'), res.get('ETag'));
  // Express would answer it too, also where there is no ETag.
  delete req.headers['if-none-match'];
  if (stream) await sendEvents(res, stream);
  else if (body === undefined) res.end();
  else if (isKnown) res.status(304).end();
  else res.set(declared?.headers.has('Link') ? linkToNext(req, body) : {}).json(body);
}

/** Until the stream ends or the client goes. */
async function sendEvents(res: Response, stream: AsyncIterable<string>): Promise<void> {
  res.set('Content-Type', 'text/event-stream').flushHeaders();
  if (res.locals.head) res.end();
  else await pipeline(Readable.from(stream), res).catch(unlessGone);
}

function unlessGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
}

/** The address of the next page (RFC 8288), if there is one: this one with another cursor. */
function linkToNext(req: Request, body: unknown): { Link?: string } {
  const { nextCursor } = body as { nextCursor?: string | null };
  if (!nextCursor) return {};
  const { pathname, searchParams } = new URL(req.originalUrl, 'http://localhost');
  searchParams.set('cursor', nextCursor);
  return { Link: `<${pathname}?${searchParams.toString()}>; rel="next"` };
}
