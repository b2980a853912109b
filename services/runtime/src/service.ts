/** Contract + handlers → Express app. The contract is the route table; the middleware stands here in order. */
import { isUtf8 } from 'node:buffer';
import express, { type Express, type RequestHandler, type Request, type Response } from 'express';
import * as OpenApiValidator from 'express-openapi-validator';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { parametersOf, type Contract, type Operation } from './contract.ts';
import type { Health } from './health.ts';
import { logRequests } from './log.ts';
import type { Metrics } from './metrics.ts';
import { pages } from './pages.ts';
import { basePathOf, InvalidRequest, problemHandler, Refused, sendProblem } from './problems.ts';
import { unstorable } from './text.ts';
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
});

function closeWhenStopping(health: Health): RequestHandler {
  return (_req, res, next) => {
    if (health.stopping) res.set('Connection', 'close');
    next();
  };
}

/** Refuses what Express would let pass or alter silently: no Host (RFC 9112 §3.2), escapes that are not UTF-8. */
const refuseMalformed: RequestHandler = (req, _res, next) => {
  if (req.headers.host === undefined && req.httpVersion === '1.1')
    throw new Refused(400, 'The Host header is missing.');
  try {
    decodeURIComponent(req.url);
  } catch {
    throw new Refused(400, 'The address has an escape that is not UTF-8.');
  }
  next();
};

/** Finds the operation by its method, for a path that matched, and checks what is asked of it. */
function findOperation(contract: Contract, operations: Record<string, Operation | undefined>): RequestHandler {
  const methods = Object.keys(operations).map((method) => method.toUpperCase());
  const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ');
  return (req, res, next) => {
    if (req.method === 'OPTIONS') {
      res.set('Allow', allowed).status(204).end();
      return;
    }
    // HEAD is GET without the body (RFC 9110 §9.3.2), which Node leaves out by itself.
    if (req.method === 'HEAD') req.method = 'GET';
    const operation = operations[req.method.toLowerCase()];
    if (!operation) {
      res.set('Allow', allowed);
      throw new Refused(405, `This address has ${allowed}.`);
    }
    checkMediaTypes(req, operation);
    checkIntegers(req, contract, operation);
    res.locals.operationId = operation.operationId;
    next();
  };
}

function checkMediaTypes(req: Request, { requestBody, responses }: Operation): void {
  const answers = Object.entries(responses).flatMap(([status, response]) =>
    status < '400' && 'content' in response ? Object.keys(response.content ?? {}) : [],
  );
  if (answers.length > 0 && !req.accepts(answers)) {
    throw new Refused(406, `This address answers with ${answers.join(', ')}.`);
  }
  const [type = '', ...parameters] = (req.headers['content-type'] ?? '').toLowerCase().split(/\s*;\s*/);
  delete req.headers['content-type'];
  if (!requestBody) return;
  const charset = parameters.find((each) => each.startsWith('charset='))?.replaceAll('"', '');
  const reads = Object.keys(requestBody.content);
  if (!reads.includes(type) || (charset && charset !== 'charset=utf-8')) {
    throw new Refused(415, `This address reads ${reads.join(', ')} in UTF-8.`);
  }
  // The validator keeps one compiled schema for each content type that it meets: let it meet only the contract's.
  req.headers['content-type'] = type;
}

/** The validator would read `0x10`, `1e1` and `1.0` as integers too. */
function checkIntegers(req: Request, contract: Contract, operation: Operation): void {
  const errors = parametersOf(contract, operation)
    .filter((each) => each.in === 'query' && each.schema.type === 'integer')
    .filter(({ name }) => name in req.query && !/^-?\d+$/.test(String(req.query[name])))
    .map(({ name }) => ({ pointer: `/query/${name}`, detail: 'must be integer', code: 'type' }));
  if (errors.length > 0) throw new InvalidRequest(errors);
}

const requireOperation: RequestHandler = (_req, res, next) => {
  if (res.locals.operationId === undefined) throw new Refused(404, 'There is nothing at this address.');
  next();
};

const readJson = express.json({
  limit: '1mb',
  strict: false,
  type: () => true,
  verify(_req, _res, bytes) {
    if (bytes.length === 0) throw new InvalidRequest([{ pointer: '/body', detail: 'is empty', code: 'json' }]);
    if (!isUtf8(bytes)) throw new InvalidRequest([{ pointer: '/body', detail: 'is not UTF-8', code: 'utf-8' }]);
  },
});

const refuseUnstorable: RequestHandler = (req, _res, next) => {
  const places = unstorable(req.body, '/body');
  if (places.length > 0) throw new InvalidRequest(places);
  next();
};

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
