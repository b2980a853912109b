/** Contract + handlers → HTTP server. The contract is the route table; a request passes the stages in this order. */
import { IncomingMessage, ServerResponse, type Server } from 'node:http';
import { Socket } from 'node:net';
import cors from 'cors';
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { Contract, Operation } from './contract/document.ts';
import { createRouter } from './contract/router.ts';
import { docsRouter } from './docs/router.ts';
import { contextOf, openContext, pipeline, type Stage } from './http/context.ts';
import { createDispatch, headersOf, type Dispatch } from './http/dispatch.ts';
import { fastPath } from './http/fast-path.ts';
import type { Health } from './http/health.ts';
import { Load, shedLoad } from './http/load-shedding.ts';
import { createRequestLog, type Logger } from './http/log.ts';
import type { Metrics } from './http/metrics.ts';
import {
  checkText,
  checkUrl,
  matchOperation,
  readJson,
  rejectOtherMethods,
  rejectUnknownPath,
} from './http/middleware.ts';
import { limitRate, type RateLimit } from './http/rate-limit.ts';
import { createResponder, type Responder } from './http/respond.ts';
import { createHttpServer } from './http/server.ts';
import { validateRequest } from './http/validate-request.ts';
import { createResponseValidator } from './http/validate-response.ts';
import type { Database } from './postgres/database.ts';

export interface Service {
  contract: Contract;
  docs?: Contract;
  handlers: object;
  db: Database;
  health: Health;
  metrics: Metrics;
  logger: Logger;
  /** Whether each response is validated; an invalid one becomes a 500. */
  validateResponses: boolean;
  corsOrigins: string[];
  /** Whether simple valid requests skip Express; the responses are the same. */
  fastPath: boolean;
  rateLimit: RateLimit;
}

/** Makes a server for the operations of the contract; it responds with a problem to everything else. It does not listen. */
export function createService(service: Service): Server {
  const { contract, db, health, metrics, logger, corsOrigins, rateLimit } = service;
  const { stopping } = health;
  const load = new Load();
  const log = createRequestLog(logger, metrics);
  const crossOrigin = corsOrigins.length > 0 ? [corsHeaders(contract, corsOrigins)] : [];
  const responder = createResponder({
    contract,
    stopping,
    commonHeaders: headersSetBy([securityHeaders, ...crossOrigin]),
    findViolations: service.validateResponses ? createResponseValidator(contract) : undefined,
  });
  const dispatch = createDispatch({ ...service, stopping, load });
  const app = createApp(service, crossOrigin, dispatch, responder, load);

  function reject(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    for (const setHeaders of crossOrigin) void setHeaders(req as Request, res as express.Response, () => undefined);
    responder.fail(res, error);
  }

  const open = openContext(createRouter(contract), stopping);
  const serve = pipeline([
    open,
    shedLoad(load, db, log, reject),
    log.logFinished,
    ...(rateLimit.requests > 0 ? [limitRate(rateLimit, db, reject)] : []),
    ...(service.fastPath ? [fastPath(contract, dispatch, responder, load)] : []),
    app as Stage,
  ]);

  return createHttpServer({
    serve,
    reject(req, res, reason) {
      // An unparsable request has no URL: it concerns the service as a whole.
      req.url ||= `${contract.basePaths[0]}/`;
      const rejectInvalid: Stage = () => {
        reject(req, res, reason);
      };
      pipeline([open, log.logFinished, rejectInvalid])(req, res);
    },
    ...classesOf(app),
  });
}

function createApp(
  { contract, docs }: Service,
  crossOrigin: RequestHandler[],
  dispatch: Dispatch,
  responder: Responder,
  load: Load,
): Express {
  const app = express();
  app.enable('case sensitive routing').enable('strict routing').disable('x-powered-by').disable('etag');
  app.set('query parser', 'simple');

  // Requests that match no operation fall through to the docs routes, then 404 or 405.
  const unmatched = express.Router().use(securityHeaders, sendRequestId, rejectOtherMethods);
  const pages = docsRouter(contract, docs);
  for (const basePath of contract.basePaths) unmatched.use(basePath || '/', pages);
  unmatched.use(rejectUnknownPath);

  app.use(...crossOrigin, checkUrl, matchOperation());
  app.use((req, res, next) => {
    if (contextOf(res).operation) next();
    else void unmatched(req, res, next);
  });
  app.use(readJson(load), checkText, validateRequest(contract));
  app.use(async (req, res) => {
    const { operation, params, accept } = contextOf(res);
    const headers = headersOf(operation as Operation, req.headers);
    const request = { path: params, query: req.query, headers, body: req.body as unknown, accept };
    await responder.respond(req, res, await dispatch(operation as Operation, request, res));
  });
  app.use(sendProblem(responder));
  return app;
}

/** Classes with the prototypes that Express sets on each request: on Node 20, changing a prototype is its largest cost. */
function classesOf(app: Express) {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as Request;
  app.response = AppResponse.prototype as express.Response;
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** The headers of the OWASP REST Security Cheat Sheet for an API. Pages set their own. */
const securityHeaders = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  // Browsers warn about these over plain HTTP.
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  referrerPolicy: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
}) as RequestHandler;

/** CORS: pages of these origins may send every header of the contract, and read every one. */
function corsHeaders({ operations, headers }: Contract, origins: string[]): RequestHandler {
  const sent = operations.flatMap(({ parameters }) => parameters.filter((each) => each.in === 'header'));
  return cors({
    origin: origins.includes('*') ? '*' : origins,
    methods: [...new Set(operations.map(({ method }) => method))],
    allowedHeaders: [...new Set(['Content-Type', 'X-Request-Id', ...sent.map(({ name }) => name)])],
    exposedHeaders: [...headers],
    maxAge: 600,
    preflightContinue: true,
  });
}

function headersSetBy(middleware: RequestHandler[]): string[] {
  const req = new IncomingMessage(new Socket());
  const res = new ServerResponse(req);
  for (const each of middleware) void each(req as Request, res as express.Response, () => undefined);
  return Object.entries(res.getHeaders()).flatMap(([name, value]) => [name, String(value)]);
}

const sendRequestId: RequestHandler = (_req, res, next) => {
  res.set('X-Request-Id', contextOf(res).requestId);
  next();
};

function sendProblem(responder: Responder): ErrorRequestHandler {
  // Express recognizes an error handler by its four parameters.
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  return (error: unknown, _req, res, _next) => {
    responder.fail(res, error);
  };
}
