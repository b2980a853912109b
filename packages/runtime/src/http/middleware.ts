/** What a request must be before the validator sees it: all that Node, Express and the validator let pass. */
import { isUtf8 } from 'node:buffer';
import type { Request, RequestHandler, Response } from 'express';
import { readBody } from './body.ts';
import type { Operation } from '../contract/document.ts';
import { hasBody } from './server.ts';
import { pathOf, type Outgoing } from './context.ts';
import type { ProblemDetails } from '../contract/handlers.ts';
import { escapeName, InvalidRequest } from './problems.ts';
import { Refused } from '../errors.ts';
import type { RouteOf } from '../contract/router.ts';

/** Refuses what Express would let pass or alter silently: no Host (RFC 9112 §3.2), escapes that are not UTF-8. */
export const refuseMalformed: RequestHandler = (req, _res, next) => {
  if (req.headers.host === undefined && req.httpVersion === '1.1') {
    throw new InvalidRequest([{ pointer: '/headers/host', detail: 'is missing', code: 'required' }]);
  }
  const [path = '', ...query] = req.url.split('?');
  for (const [pointer, part] of Object.entries({ '/path': path, '/query': query.join('?') })) {
    if (!isEscaped(part))
      throw new InvalidRequest([{ pointer, detail: 'has an escape that is not UTF-8', code: 'utf-8' }]);
  }
  next();
};

/** Whether what is escaped in an address is UTF-8. */
export function isEscaped(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** Finds what is asked for, and checks what the contract says of how it is asked for. */
export function findOperation(routeOf: RouteOf): RequestHandler {
  const expectations = new Map<Operation, Expectation>();
  return (req, res, next) => {
    const route = routeOf(pathOf(req.url));
    if (!route) {
      next();
      return;
    }
    const { resource, params } = route;
    const { locals } = res as unknown as Outgoing;
    // HEAD is GET without the body (RFC 9110 §9.3.2), which Node leaves out by itself.
    locals.head = req.method === 'HEAD';
    if (locals.head) req.method = 'GET';
    const operation = resource.operations.get(req.method);
    if (!operation) {
      locals.allowed = resource.allowed;
      next();
      return;
    }
    const expected = expectations.get(operation) ?? expectationOf(operation);
    expectations.set(operation, expected);
    locals.operation = operation;
    for (const name in params) params[name] = decodeURIComponent(params[name] as string);
    locals.params = params;
    locals.accept = checkMediaTypes(req, expected);
    checkIntegers(req, expected);
    next();
  };
}

/** Refuses another method than the path has. */
export const refuseOtherMethod: RequestHandler = (req, res, next) => {
  const { allowed } = (res as unknown as Outgoing).locals;
  if (allowed) refuseMethod(req, res, allowed);
  else next();
};

/** Answers OPTIONS with the methods that the path has (RFC 9110 §9.3.7), and refuses any other with 405. */
export function refuseMethod({ method }: Request, res: Response, allowed: string): void {
  res.set('Allow', allowed);
  if (method !== 'OPTIONS') throw new Refused(405, `This address has ${allowed}.`);
  res.status(204).end();
}

/** What an operation expects of a request, looked up in the contract once. */
interface Expectation {
  /** The media types that it answers with, and those that it reads. */
  answers: string[];
  reads: string[];
  /** Its query parameters that are integers. */
  integers: string[];
}

export function expectationOf(operation: Operation): Expectation {
  return {
    answers: [...operation.responses].flatMap(([status, { content }]) => (status < 400 ? Object.keys(content) : [])),
    reads: Object.keys(operation.requestBody?.content ?? {}),
    integers: operation.parameters
      .filter((each) => each.in === 'query' && each.schema.type === 'integer')
      .map(({ name }) => name),
  };
}

/** Which of the media types that it answers with the client likes best. Throws when it likes none, or sends another. */
function checkMediaTypes(req: Request, { answers, reads }: Expectation): string {
  const accept = req.accepts(answers);
  if (answers.length > 0 && accept === false) {
    throw new Refused(406, `This address answers with ${answers.join(', ')}.`);
  }
  const [type = '', ...parameters] = (req.headers['content-type'] ?? '').toLowerCase().split(/\s*;\s*/);
  delete req.headers['content-type'];
  if (reads.length === 0) return String(accept);
  const charset = parameters.find((each) => each.startsWith('charset='))?.replaceAll('"', '');
  if (!reads.includes(type) || (charset && charset !== 'charset=utf-8')) {
    throw new Refused(415, `This address reads ${reads.join(', ')} in UTF-8.`);
  }
  // The validator keeps one compiled schema for each content type that it meets: let it meet only the contract's.
  req.headers['content-type'] = type;
  return String(accept);
}

/** The validator would read `0x10`, `1e1` and `1.0` as integers too. */
function checkIntegers(req: Request, { integers }: Expectation): void {
  const errors = integers
    .filter((name) => name in req.query && !isInteger(req.query[name]))
    .map((name) => ({ pointer: `/query/${name}`, detail: 'must be integer', code: 'type' }));
  if (errors.length > 0) throw new InvalidRequest(errors);
}

/** Whether a parameter is an integer as JSON writes one. One past 10^308 would be infinite, and within every bound. */
export function isInteger(value: unknown): boolean {
  return typeof value === 'string' && /^-?\d+$/.test(value) && Number.isFinite(Number(value));
}

export const refuseUnknown: RequestHandler = () => {
  throw new Refused(404, 'There is nothing at this address.');
};

/** Reads the body as JSON. Where none is expected, none is read. */
export const readJson: RequestHandler = async (req, res, next) => {
  const { locals } = res as unknown as Outgoing;
  const isRead = req.headers['content-type'] !== undefined && hasBody(req);
  const bytes = locals.bytes ?? (isRead ? await readBody(req, res) : undefined);
  if (bytes) req.body = parse(bytes);
  next();
};

function parse(bytes: Buffer): unknown {
  const refuse = (detail: string, code: string) => new InvalidRequest([{ pointer: '/body', detail, code }]);
  if (bytes.length === 0) throw refuse('is empty', 'json');
  if (!isUtf8(bytes)) throw refuse('is not UTF-8', 'utf-8');
  try {
    // Without the mark that some clients begin with (RFC 8259 §8.1).
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw refuse(`is not JSON: ${(error as Error).message}`, 'json');
  }
}

export const refuseUnstorable: RequestHandler = (req, _res, next) => {
  const places = unstorable(req.body, '/body');
  if (places.length > 0) throw new InvalidRequest(places);
  next();
};

type Places = NonNullable<ProblemDetails['errors']>;

/** Deeper than any body of a contract; a walk this deep is safe. */
const depthMax = 64;

/**
 * The places in a JSON value that cannot be stored as they are: NUL, which PostgreSQL's text cannot hold, and surrogates
 * without a partner, which are no characters (I-JSON, RFC 7493 §2.1) and would be stored as U+FFFD.
 */
function unstorable(value: unknown, pointer: string, depth = 0): Places {
  if (typeof value === 'string') return unstorableText(value, pointer);
  if (typeof value !== 'object' || value === null) return [];
  if (depth === depthMax) return [{ pointer, detail: `is nested deeper than ${depthMax} levels`, code: 'depth' }];
  return Object.entries(value).flatMap(([key, each]) => {
    const place = `${pointer}/${escapeName(key)}`;
    // No object of a contract has such a field, but the validator would not say where it is.
    const unplaced = /^$|[/~]/.test(key)
      ? [{ pointer: place, detail: 'must not have such a name', code: 'additionalProperties' }]
      : [];
    return [...unplaced, ...unstorableText(key, place), ...unstorable(each, place, depth + 1)];
  });
}

function unstorableText(text: string, pointer: string): Places {
  if (text.includes('\0')) return [{ pointer, detail: 'must not hold the character NUL', code: 'nul' }];
  if (!text.isWellFormed()) return [{ pointer, detail: 'must not hold half of a surrogate pair', code: 'surrogate' }];
  return [];
}
