/** The fast path: the same contract, compiled for simple valid requests; Express serves all others (decision 013). */
import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { parse } from 'node:querystring';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Request } from 'express';
import type { Contract, Operation, Parameter } from '../contract/document.ts';
import { readBody } from './body.ts';
import { contextOf, hasBody, type Stage, type ValidRequest } from './context.ts';
import { headersOf, type Dispatch } from './dispatch.ts';
import { findDuplicateName } from './json.ts';
import type { Load } from './load-shedding.ts';
import { expectationOf, isDecodable, isInteger, preferredType } from './middleware.ts';
import type { Responder } from './respond.ts';

export function fastPath(contract: Contract, dispatch: Dispatch, responder: Responder, load: Load): Stage {
  const readerOf = createReaders(contract);

  async function serve(
    req: IncomingMessage,
    res: ServerResponse,
    operation: Operation,
    { parseBody }: Reader,
    request: ValidRequest,
    next: () => void,
  ): Promise<void> {
    try {
      const context = contextOf(res);
      if (parseBody) {
        const bytes = await readBody(req, res, load);
        request.body = parseBody(bytes);
        if (request.body === undefined) {
          context.bytes = bytes;
          next();
          return;
        }
      }
      context.operation = operation;
      await responder.respond(req, res, await dispatch(operation, request, res));
    } catch (error) {
      responder.fail(res, error);
    }
  }

  return (req, res, next) => {
    const { url = '', method = '', headers } = req;
    const queryAt = url.indexOf('?');
    const route = isSimple(url, queryAt, headers) ? contextOf(res).route : undefined;
    const operation = route?.resource.operations.get(method);
    const reader = operation && readerOf(operation);
    if (!route || !reader?.accepts(req)) {
      next();
      return;
    }
    const request = reader.read(route.params, queryAt < 0 ? '' : url.slice(queryAt + 1), headers);
    if (request) void serve(req, res, operation as Operation, reader, request, next);
    else next();
  };
}

function isSimple(url: string, queryAt: number, { host, origin }: IncomingHttpHeaders): boolean {
  if (host === undefined || origin !== undefined) return false;
  const escapeAt = url.indexOf('%');
  return escapeAt < 0 || (queryAt >= 0 && escapeAt > queryAt && isDecodable(url));
}

interface Reader {
  accepts(req: IncomingMessage): boolean;
  /** The request without its body; undefined when it is not valid at first sight. */
  read(path: Record<string, string>, query: string, headers: IncomingHttpHeaders): ValidRequest | undefined;
  /** The body with defaults; undefined when it is not valid at first sight. */
  parseBody: ((bytes: Buffer) => unknown) | undefined;
}

/** Makes the reader of an operation on its first request; undefined for an operation with several media types. */
function createReaders({ document: { components } }: Contract): (operation: Operation) => Reader | undefined {
  // As in the validator, strings become numbers in parameters, not in bodies.
  const [parameterAjv, bodyAjv] = [newAjv(true), newAjv(false)];
  const compile = (ajv: Ajv2020, schema: object) => ajv.compile({ ...schema, components });
  const readers = new Map<Operation, Reader | undefined>();

  function readerFor(operation: Operation): Reader | undefined {
    const { requestBody } = operation;
    const { produces } = expectationOf(operation);
    const schema = requestBody?.content['application/json']?.schema;
    const isJson = produces.every((type) => type === 'application/json') && Boolean(schema) === Boolean(requestBody);
    if (!isJson || !operation.parameters.every(isScalar)) return undefined;
    return {
      accepts: (req) => acceptsJson(req) && (schema ? sendsJson(req.headers) : !hasBody(req)),
      read: parameterReader(operation, compile(parameterAjv, parametersSchema(operation))),
      parseBody: schema && bodyParser(compile(bodyAjv, schema)),
    };
  }

  return (operation) => {
    if (!readers.has(operation)) readers.set(operation, readerFor(operation));
    return readers.get(operation);
  };
}

function newAjv(coerceTypes: boolean): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, validateSchema: false, useDefaults: true, coerceTypes });
  formats.default(ajv, { mode: 'full' });
  // Express converts an id in upper case.
  ajv.addFormat('uuid', /^[^A-F]*$/);
  return ajv;
}

function isScalar({ in: place, schema: { type = '' } }: Parameter): boolean {
  return type === 'string' || (type === 'integer' && place === 'query');
}

function parametersSchema({ parameters }: Operation): object {
  const part = (place: string) => {
    const own = parameters.filter((each) => each.in === place);
    return {
      type: 'object',
      properties: Object.fromEntries(own.map(({ name, schema }) => [name, schema])),
      required: own.flatMap(({ name, required }) => (required ? [name] : [])),
      additionalProperties: false,
    };
  };
  return { type: 'object', properties: { path: part('path'), query: part('query'), headers: part('header') } };
}

function parameterReader(operation: Operation, validate: ValidateFunction): Reader['read'] {
  const { integers } = expectationOf(operation);
  return (path, text, headers) => {
    const query = text === '' ? {} : parse(text);
    for (const name of integers) if (name in query && !isInteger(query[name])) return undefined;
    const request: ValidRequest = {
      path,
      query,
      headers: headersOf(operation, headers),
      body: undefined,
      accept: 'application/json',
    };
    return validate(request) ? request : undefined;
  };
}

function bodyParser(validate: ValidateFunction): (bytes: Buffer) => unknown {
  return (bytes) => {
    if (!isUtf8(bytes)) return undefined;
    const text = bytes.toString();
    // In valid UTF-8, NUL and lone surrogates appear only as escapes.
    if (/\\u(0000|d[89a-f])/i.test(text)) return undefined;
    try {
      const body: unknown = JSON.parse(text);
      return findDuplicateName(text, body) === undefined && validate(body) ? body : undefined;
    } catch {
      return undefined;
    }
  };
}

const acceptCache = new Map<string, boolean>();

function acceptsJson(req: IncomingMessage): boolean {
  const { accept } = req.headers;
  if (accept === undefined) return true;
  let result = acceptCache.get(accept);
  if (result === undefined) {
    result = preferredType(req as Request, ['application/json']) !== false;
    if (acceptCache.size < 100) acceptCache.set(accept, result);
  }
  return result;
}

const maxBytes = 65_536;

function sendsJson(headers: IncomingHttpHeaders): boolean {
  const { 'content-type': type, 'content-length': length } = headers;
  if (type !== 'application/json' && type !== 'application/json; charset=utf-8') return false;
  return length !== undefined && Number(length) <= maxBytes && headers['content-encoding'] === undefined;
}
