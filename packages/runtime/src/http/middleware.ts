/** Express middleware ahead of the validator: checks that Node, Express and the validator do not make. */
import { isUtf8 } from 'node:buffer';
import type { Request, RequestHandler, Response } from 'express';
import type { Operation } from '../contract/document.ts';
import { HttpError, InvalidRequest, type InvalidField } from '../errors.ts';
import { readBody } from './body.ts';
import { contextOf, hasBody } from './context.ts';
import { findDuplicateName } from './json.ts';
import type { Load } from './load-shedding.ts';
import { escapeName } from './problems.ts';

export const checkUrl: RequestHandler = (req, _res, next) => {
  if (req.headers.host === undefined && req.httpVersion === '1.1') {
    throw new InvalidRequest([{ pointer: '/headers/host', detail: 'is missing', code: 'required' }]);
  }
  const [path = '', ...query] = req.url.split('?');
  for (const [pointer, part] of Object.entries({ '/path': path, '/query': query.join('?') })) {
    if (!isDecodable(part))
      throw new InvalidRequest([{ pointer, detail: 'has percent-encoding that is not UTF-8', code: 'utf-8' }]);
  }
  next();
};

export function isDecodable(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** Matches the request to its operation, and checks media types and integers. Passes on requests of no operation. */
export function matchOperation(): RequestHandler {
  const expectations = new Map<Operation, Expectation>();
  return (req, res, next) => {
    const context = contextOf(res);
    if (!context.route) {
      next();
      return;
    }
    const { resource, params } = context.route;
    context.isHead = req.method === 'HEAD';
    if (context.isHead) req.method = 'GET';
    const operation = resource.operations.get(req.method);
    if (!operation) {
      next();
      return;
    }
    const expected = expectations.get(operation) ?? expectationOf(operation);
    expectations.set(operation, expected);
    context.operation = operation;
    for (const name in params) params[name] = decodeURIComponent(params[name] as string);
    context.params = params;
    context.accept = negotiate(req, expected);
    checkIntegers(req, expected);
    next();
  };
}

export const rejectOtherMethods: RequestHandler = (req, res, next) => {
  const { route } = contextOf(res);
  if (route) rejectMethod(req, res, route.resource.allow);
  else next();
};

/** Responds to OPTIONS with the path's methods (RFC 9110 §9.3.7), and to every other method with 405. */
export function rejectMethod({ method }: Request, res: Response, allow: string): void {
  res.set('Allow', allow);
  if (method !== 'OPTIONS') throw new HttpError(405, `Method not allowed. Allowed: ${allow}.`);
  res.status(204).end();
}

interface Expectation {
  produces: string[];
  consumes: string[];
  integers: string[];
}

export function expectationOf(operation: Operation): Expectation {
  return {
    produces: [...operation.responses].flatMap(([status, { content }]) => (status < 400 ? Object.keys(content) : [])),
    consumes: Object.keys(operation.requestBody?.content ?? {}),
    integers: operation.parameters
      .filter((each) => each.in === 'query' && each.schema.type === 'integer')
      .map(({ name }) => name),
  };
}

/** The response media type that the client prefers. Throws 406 or 415 when the media types do not match. */
function negotiate(req: Request, { produces, consumes }: Expectation): string {
  const accept = preferredType(req, produces);
  if (produces.length > 0 && accept === false) {
    throw new HttpError(406, `Accept must allow ${produces.join(' or ')}.`);
  }
  const [type = '', ...parameters] = (req.headers['content-type'] ?? '').toLowerCase().split(/\s*;\s*/);
  delete req.headers['content-type'];
  if (consumes.length === 0) return String(accept);
  const charset = parameters.find((each) => each.startsWith('charset='));
  if (!consumes.includes(type) || (charset && !/^charset=("?)utf-?8\1$/.test(charset))) {
    throw new HttpError(415, `Content-Type must be ${consumes.join(' or ')} in UTF-8.`);
  }
  // The validator caches a compiled schema for each content type: let it see only the contract's.
  req.headers['content-type'] = type;
  return String(accept);
}

/** The type that `Accept` prefers. Its parameters, such as `charset`, do not matter: no type of a contract has any. */
export function preferredType(req: Request, types: string[]): string | false {
  const { headers } = req;
  if (headers.accept) headers.accept = headers.accept.replace(parameterExceptWeight, '');
  return req.accepts(types);
}

const parameterExceptWeight = /;\s*(?!q\s*=)[^\s;,="]+\s*=\s*("(?:[^"\\]|\\.)*"|[^;,"]*)/gi;

/** The validator would accept `0x10`, `1e1` and `1.0` as integers. */
function checkIntegers(req: Request, { integers }: Expectation): void {
  const errors = integers
    .filter((name) => name in req.query && !isInteger(req.query[name]))
    .map((name) => ({ pointer: `/query/${name}`, detail: 'must be integer', code: 'type' }));
  if (errors.length > 0) throw new InvalidRequest(errors);
}

/** An integer as JSON writes it. One beyond 10^308 would become Infinity, which is within every bound. */
export function isInteger(value: unknown): boolean {
  return typeof value === 'string' && /^-?\d+$/.test(value) && Number.isFinite(Number(value));
}

export const rejectUnknownPath: RequestHandler = () => {
  throw new HttpError(404, 'No resource exists at this path.');
};

export function readJson(load: Load): RequestHandler {
  return async (req, res, next) => {
    const isExpected = req.headers['content-type'] !== undefined && hasBody(req);
    const bytes = contextOf(res).bytes ?? (isExpected ? await readBody(req, res, load) : undefined);
    if (bytes) req.body = parse(bytes);
    next();
  };
}

function parse(bytes: Buffer): unknown {
  if (bytes.length === 0) throw invalidBody('is empty', 'json');
  if (!isUtf8(bytes)) throw invalidBody('is not UTF-8', 'utf-8');
  // TextDecoder drops a byte order mark (RFC 8259 §8.1).
  const text = new TextDecoder().decode(bytes);
  const body = parseJson(text);
  const duplicate = findDuplicateName(text, body);
  if (duplicate !== undefined) throw invalidBody('is a duplicate name', 'duplicate', duplicate);
  return body;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidBody(`is not JSON: ${(error as Error).message}`, 'json');
  }
}

function invalidBody(detail: string, code: string, pointer = ''): InvalidRequest {
  return new InvalidRequest([{ pointer: `/body${pointer}`, detail, code }]);
}

export const checkText: RequestHandler = (req, _res, next) => {
  const errors = findInvalidText(req.body, '/body');
  if (errors.length > 0) throw new InvalidRequest(errors);
  next();
};

const maxDepth = 64;

/** Finds text that PostgreSQL cannot store unchanged: NUL, and lone surrogates (RFC 7493 §2.1), which become U+FFFD. */
function findInvalidText(value: unknown, pointer: string, depth = 0): InvalidField[] {
  if (typeof value === 'string') return checkString(value, pointer);
  if (typeof value !== 'object' || value === null) return [];
  if (depth === maxDepth) return [{ pointer, detail: `is nested deeper than ${maxDepth} levels`, code: 'depth' }];
  return Object.entries(value).flatMap(([key, each]) => {
    const place = `${pointer}/${escapeName(key)}`;
    // The validator would reject these names without their place.
    const unnamed = /^$|[/~]/.test(key)
      ? [{ pointer: place, detail: 'is not a valid field name', code: 'additionalProperties' }]
      : [];
    return [...unnamed, ...checkString(key, place), ...findInvalidText(each, place, depth + 1)];
  });
}

function checkString(text: string, pointer: string): InvalidField[] {
  if (text.includes('\0')) return [{ pointer, detail: 'must not contain the NUL character', code: 'nul' }];
  if (!text.isWellFormed()) return [{ pointer, detail: 'must not contain a lone surrogate', code: 'surrogate' }];
  return [];
}
