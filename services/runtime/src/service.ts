/** Contract + handlers → Express app. The contract is the route table; the middleware stands here in order. */
import express, { type Express, type RequestHandler, type Request, type Response } from 'express';
import * as OpenApiValidator from 'express-openapi-validator';
import helmet from 'helmet';
import type { Logger } from 'pino';
import type { Contract } from './contract.ts';
import type { Health } from './health.ts';
import { logRequests } from './log.ts';
import type { Metrics } from './metrics.ts';
import { pages } from './pages.ts';
import { basePathOf, problemHandler, sendProblem } from './problems.ts';
import { findOperation, readJson, refuseMalformed, refuseUnstorable, requireOperation } from './requests.ts';
import type { ProblemDetails } from './handlers.ts';

export interface Service {
  contract: Contract;
  /** What `implement<operations>()` made. */
  handlers: object;
  health: Health;
  metrics: Metrics;
  logger: Logger;
  /** Whether each answer is held to the contract too; one that breaks it becomes a 500. */
  validateResponses: boolean;
}

/** Makes the app that answers every operation of the contract, and with a problem everything else. */
export function createService({ contract, handlers, health, metrics, logger, validateResponses }: Service): Express {
  const app = express();
  app.enable('case sensitive routing').enable('strict routing').disable('x-powered-by').disable('etag');
  app.set('query parser', 'simple');

  app.use(logRequests(logger), metrics.observe, securityHeaders, closeWhenStopping(health), refuseMalformed);
  for (const basePath of contract.basePaths) app.use(basePath || '/', pages(contract));
  for (const basePath of contract.basePaths) {
    for (const [path, operations] of Object.entries(contract.document.paths)) {
      app.all(basePath + path.replace(/\{(\w+)\}/g, ':$1'), findOperation(contract, operations));
    }
  }
  app.use(requireOperation, readJson, refuseUnstorable);
  app.use(
    OpenApiValidator.middleware({
      // It changes the document that it is given.
      apiSpec: structuredClone(contract.document) as never,
      // The tests do that, so that a start need not.
      validateApiSpec: false,
      validateRequests: { allErrors: true },
      validateResponses,
      validateSecurity: false,
      fileUploader: false,
      ajvFormats: { mode: 'full' },
    }),
  );
  app.use(dispatch(contract, handlers as Record<string, Handler | undefined>));
  app.use(problemHandler(contract));
  return app;
}

/** What every handler is, seen from here; `implement()` has checked what each takes and answers. */
type Handler = (request: { path: unknown; query: unknown; headers: unknown; body: unknown }) => Promise<Answer>;

/** What the validator leaves on a request that it has matched. */
type OpenApiRequest = Request & { openapi: { pathParams: Record<string, string> } };

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
  problem?: ProblemDetails;
}

const securityHeaders = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  // Browsers complain of these on plain http, which is what the Ingress speaks.
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
});

function closeWhenStopping(health: Health): RequestHandler {
  return (_req, res, next) => {
    if (health.stopping) res.set('Connection', 'close');
    next();
  };
}

/** Calls the operation's handler and sends what it answers. */
function dispatch(contract: Contract, handlers: Record<string, Handler | undefined>): RequestHandler {
  return async (req, res) => {
    const handle = handlers[String(res.locals.operationId)];
    if (!handle) throw new Error(`no handler for ${String(res.locals.operationId)}`);
    const { pathParams } = (req as OpenApiRequest).openapi;
    const answer = await handle({ path: pathParams, query: req.query, headers: req.headers, body: req.body });
    send(contract, req, res, answer);
  };
}

function send(contract: Contract, req: Request, res: Response, { status, headers, body, problem }: Answer): void {
  for (const [name, value] of Object.entries(headers ?? {})) {
    res.set(name, name === 'Location' ? basePathOf(contract, req) + value : value);
  }
  if (problem) sendProblem(contract, req, res, status, problem);
  else if (body === undefined) res.status(status).end();
  else res.status(status).json(body);
}
