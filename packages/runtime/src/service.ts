/** Contract + handlers → HTTP server. The contract is the route table; the middleware stands here in order. */
import { IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import cors from 'cors';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { Answers, headersOf } from './http/dispatch.ts';
import { conformance } from './http/validate-response.ts';
import type { Contract, Operation } from './contract/document.ts';
import type { Database } from './postgres/database.ts';
import { createEdge } from './http/server.ts';
import { begin, type Outgoing } from './http/context.ts';
import { isHealth, type Health } from './http/health.ts';
import { fastLane } from './http/fast-path.ts';
import { limited, type RateLimit } from './http/rate-limit.ts';
import { logRequest, refusalLog } from './http/log.ts';
import type { Metrics } from './http/metrics.ts';
import { pages } from './docs/router.ts';
import { overloaded } from './errors.ts';
import { replies, type Replies } from './http/respond.ts';
import {
  findOperation,
  readJson,
  refuseMalformed,
  refuseOtherMethod,
  refuseUnknown,
  refuseUnstorable,
} from './http/middleware.ts';
import { routesOf, type RouteOf } from './contract/router.ts';
import { validator } from './http/validate-request.ts';

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
  /** Whether what is plainly valid is answered without Express and its validator; the answers are the same. */
  fastLane: boolean;
  /** How many requests a client may send. */
  rateLimit: RateLimit;
}

/** Makes the server that answers every operation of the contract, and with a problem everything else. It does not listen yet. */
export function createService(service: Service): Server {
  const { contract, db, health, metrics, logger, corsOrigins, rateLimit } = service;
  const shareAcrossOrigins = corsOrigins.length > 0 ? [crossOrigin(contract, corsOrigins)] : [];
  const always = headersBy([securityHeaders, ...shareAcrossOrigins]);
  const out = replies(contract, health, always, service.validateResponses ? conformance(contract) : undefined);
  const answers = new Answers(service);
  const routeOf = routesOf(contract);
  const app = createApp(service, shareAcrossOrigins, routeOf, answers, out);
  const serve = service.fastLane ? fastLane(contract, routeOf, answers, out, app) : app;
  const admit = rateLimit.requests > 0 ? limited(rateLimit, db, routeOf, refuse, serve) : serve;
  function refuse(req: IncomingMessage, res: Outgoing, error: unknown): void {
    for (const share of shareAcrossOrigins) void share(req as Request, res as unknown as Response, () => undefined);
    out.fail(res, error);
  }
  function over(this: Outgoing): void {
    metrics.observe(this);
    logRequest(logger, this);
  }
  const logRefused = refusalLog(logger);
  const refuseMore = together<Outgoing>((res) => {
    refuse(res.req, res, overloaded);
    metrics.observe(res);
    logRefused();
  });
  function open(req: IncomingMessage, res: ServerResponse): asserts res is Outgoing {
    begin(req, res);
    if (health.stopping.aborted) res.setHeader('Connection', 'close');
  }
  function isTooMuch({ url = '', headers }: IncomingMessage): boolean {
    // One with a key needs a connection for itself.
    const isFull = answers.overloaded || (db.crowded && headers['idempotency-key'] !== undefined);
    return isFull && !isHealth(url);
  }
  return createEdge(
    {
      serve(req, res) {
        open(req, res);
        // Before anything is read of it: to refuse must cost much less than to answer.
        if (isTooMuch(req)) {
          refuseMore(res);
        } else {
          res.on('close', over);
          admit(req, res);
        }
      },
      refuse(req, res, reason) {
        // What it asks for may be unknown: then it asks the service as a whole.
        req.url ||= `${contract.basePaths[0]}/`;
        open(req, res);
        res.on('close', over);
        refuse(req, res, reason);
      },
    },
    classesOf(app),
  );
}

/** For how long, in milliseconds, refusals are gathered. */
const togetherMs = 2;

/** Does what there is to do for each, for those of some milliseconds in one go, which costs less (decisions/015). */
function together<Item>(act: (item: Item) => void): (item: Item) => void {
  let gathered: Item[] = [];
  function actOnAll(): void {
    const all = gathered;
    gathered = [];
    all.forEach(act);
  }
  return (item) => {
    if (gathered.push(item) === 1) setTimeout(actOnAll, togetherMs);
  };
}

function createApp(
  service: Service,
  shareAcrossOrigins: RequestHandler[],
  routeOf: RouteOf,
  answers: Answers,
  out: Replies,
): Express {
  const { contract, docs } = service;
  const app = express();
  app.enable('case sensitive routing').enable('strict routing').disable('x-powered-by').disable('etag');
  app.set('query parser', 'simple');

  const others = express.Router().use(securityHeaders, tellRequestId, refuseOtherMethod);
  const shown = pages(contract, docs);
  for (const basePath of contract.basePaths) others.use(basePath || '/', shown);
  others.use(refuseUnknown);

  app.use(...shareAcrossOrigins, refuseMalformed, findOperation(routeOf), unlessFound(others));
  app.use(readJson, refuseUnstorable, validator(contract));
  app.use(async (req, res) => {
    const { locals } = res as unknown as Outgoing;
    const operation = locals.operation as Operation;
    const asked = {
      path: locals.params,
      query: req.query,
      headers: headersOf(operation, req.headers),
      body: req.body as unknown,
      accept: locals.accept,
    };
    await out.answer(req, res as unknown as Outgoing, await answers.to(operation, asked, res));
  });
  app.use(problems(out));
  return app;
}

/**
 * Classes with the prototypes that Express gives to each request and response. It finds them there already: to change the
 * prototype of an object costs more, on Node 20, than all else that it does.
 */
function classesOf(app: Express) {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as Request;
  app.response = AppResponse.prototype as Response;
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Those that the OWASP REST Security Cheat Sheet names for an API; what concerns pages is for the pages to send. */
const securityHeaders = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  // Browsers complain of these on plain http, which is what the Ingress speaks.
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  referrerPolicy: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
}) as RequestHandler;

/** Lets pages of these origins send what the contract has, and read every header that it has. */
function crossOrigin({ operations, headers }: Contract, origins: string[]): RequestHandler {
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

/** The headers that these set on the answer to a request of no browser, found by asking them once: names and values in turn. */
function headersBy(middleware: RequestHandler[]): string[] {
  const req = new IncomingMessage(new Socket());
  const res = new ServerResponse(req);
  for (const each of middleware) void each(req as Request, res as Response, () => undefined);
  return Object.entries(res.getHeaders()).flatMap(([name, value]) => [name, String(value)]);
}

/** What the contract has not goes another way, to what answers it for good. */
function unlessFound(others: RequestHandler): RequestHandler {
  return (req, res, next) => {
    if (res.locals.operation) next();
    else void others(req, res, next);
  };
}

/** In answers that the contract does not have, too: their lines of the log are found by it. */
const tellRequestId: RequestHandler = (_req, res, next) => {
  res.set('X-Request-Id', (res as unknown as Outgoing).locals.requestId);
  next();
};

/** The one error exit. */
function problems(out: Replies): ErrorRequestHandler {
  // Express takes it for an error handler by its four parameters.
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  return (error: unknown, _req, res, _next) => {
    out.fail(res as unknown as Outgoing, error);
  };
}
