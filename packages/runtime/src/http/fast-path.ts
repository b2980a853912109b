/**
 * The fast lane: a request that is plainly what the contract asks for is answered at once. It reads the same contract as
 * Express's validator and is stricter: whatever it does not see to be valid at a glance it leaves to Express, which stays
 * the judge. That both answer the same to the byte is shown by test/lane.ts. See decisions/013.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { parse } from 'node:querystring';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Request } from 'express';
import { headersOf, type Answers, type Asked } from './dispatch.ts';
import { readBody } from './body.ts';
import type { Contract, Operation, Parameter } from '../contract/document.ts';
import { hasBody } from './server.ts';
import type { Listener, Outgoing } from './context.ts';
import type { Replies } from './respond.ts';
import { expectationOf, isEscaped, isInteger } from './middleware.ts';
import type { RouteOf } from '../contract/router.ts';

/** Makes the listener that answers what is plainly valid, and gives everything else to `otherwise`. */
export function fastLane(
  contract: Contract,
  routeOf: RouteOf,
  answers: Answers,
  out: Replies,
  otherwise: Listener,
): Listener {
  const laneOf = lanesOf(contract);

  async function serve(
    req: IncomingMessage,
    res: Outgoing,
    operation: Operation,
    { readBody: toValue }: Lane,
    asked: Asked,
  ): Promise<void> {
    try {
      if (toValue) {
        const bytes = await readBody(req, res);
        asked.body = toValue(bytes);
        if (asked.body === undefined) {
          res.locals.bytes = bytes;
          otherwise(req, res);
          return;
        }
      }
      res.locals.operation = operation;
      await out.answer(req, res, await answers.to(operation, asked, res));
    } catch (error) {
      out.fail(res, error);
    }
  }

  return (req, res) => {
    const { url = '', method = '', headers } = req;
    const mark = url.indexOf('?');
    const route = isPlain(url, mark, headers) ? routeOf(mark < 0 ? url : url.slice(0, mark)) : undefined;
    const operation = route?.resource.operations.get(method);
    const lane = operation && laneOf(operation);
    if (!route || !lane?.takes(req)) {
      otherwise(req, res);
      return;
    }
    const asked = lane.read(route.params, mark < 0 ? '' : url.slice(mark + 1), headers);
    if (asked) void serve(req, res, operation as Operation, lane, asked);
    else otherwise(req, res);
  };
}

/** What is looked at of every request: a path that stands for itself, and nothing that a browser must be told. */
function isPlain(url: string, mark: number, { host, origin }: IncomingHttpHeaders): boolean {
  if (host === undefined || origin !== undefined) return false;
  const escape = url.indexOf('%');
  return escape < 0 || (mark >= 0 && escape > mark && isEscaped(url));
}

/** How the requests of one operation are read. */
interface Lane {
  /** Whether the client takes what the operation answers, and sends what it reads. */
  takes(req: IncomingMessage): boolean;
  /** The parts of a request but for its body; undefined when they are not plainly valid. */
  read(path: Record<string, string>, query: string, headers: IncomingHttpHeaders): Asked | undefined;
  /** The body, with defaults filled in; undefined when it is not plainly valid. */
  readBody: ((bytes: Buffer) => unknown) | undefined;
}

/** The lane of an operation, made when it is first asked for; undefined where it has more than one way to be asked. */
function lanesOf({ document: { components } }: Contract): (operation: Operation) => Lane | undefined {
  // As the validator has them: texts are made numbers in parameters, not in bodies.
  const [parameters, bodies] = [newAjv(true), newAjv(false)];
  const compile = (ajv: Ajv2020, schema: object) => ajv.compile({ ...schema, components });
  const lanes = new Map<Operation, Lane | undefined>();

  function laneFor(operation: Operation): Lane | undefined {
    const { requestBody } = operation;
    const { answers } = expectationOf(operation);
    const schema = requestBody?.content['application/json']?.schema;
    const isJson = answers.every((type) => type === 'application/json') && Boolean(schema) === Boolean(requestBody);
    if (!isJson || !operation.parameters.every(isSimple)) return undefined;
    return {
      takes: (req) => accepts(req) && (schema ? sendsJson(req.headers) : !hasBody(req)),
      read: reader(operation, compile(parameters, partsOf(operation))),
      readBody: schema && bodyReader(compile(bodies, schema)),
    };
  }

  return (operation) => {
    if (!lanes.has(operation)) lanes.set(operation, laneFor(operation));
    return lanes.get(operation);
  };
}

function newAjv(coerceTypes: boolean): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, validateSchema: false, useDefaults: true, coerceTypes });
  formats.default(ajv, { mode: 'full' });
  return ajv;
}

function isSimple({ in: place, schema: { type = '' } }: Parameter): boolean {
  return type === 'string' || (type === 'integer' && place === 'query');
}

function partsOf({ parameters }: Operation): object {
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

function reader(operation: Operation, validate: ValidateFunction): Lane['read'] {
  const { integers } = expectationOf(operation);
  return (path, text, headers) => {
    const query = text === '' ? {} : parse(text);
    for (const name in query)
      if (query[name] === '' || (integers.includes(name) && !isInteger(query[name]))) return undefined;
    const asked: Asked = {
      path,
      query,
      headers: headersOf(operation, headers),
      body: undefined,
      accept: 'application/json',
    };
    return validate(asked) ? asked : undefined;
  };
}

function bodyReader(validate: ValidateFunction): (bytes: Buffer) => unknown {
  return (bytes) => {
    if (!isUtf8(bytes)) return undefined;
    const text = bytes.toString();
    // Half a surrogate pair and NUL can only come as an escape: what has neither can be stored as it is.
    if (/\\u(0000|d[89a-f])/i.test(text)) return undefined;
    try {
      const body: unknown = JSON.parse(text);
      return validate(body) ? body : undefined;
    } catch {
      return undefined;
    }
  };
}

/** What clients say of themselves is mostly the same. */
const acceptable = new Map<string, boolean>();

function accepts(req: IncomingMessage): boolean {
  const { accept } = req.headers;
  if (accept === undefined) return true;
  let known = acceptable.get(accept);
  if (known === undefined) {
    known = (req as Request).accepts('application/json') !== false;
    if (acceptable.size < 100) acceptable.set(accept, known);
  }
  return known;
}

/** More is not worth holding in memory at once. */
const bytesMax = 65_536;

function sendsJson(headers: IncomingHttpHeaders): boolean {
  const { 'content-type': type, 'content-length': length } = headers;
  if (type !== 'application/json' && type !== 'application/json; charset=utf-8') return false;
  return length !== undefined && Number(length) <= bytesMax && headers['content-encoding'] === undefined;
}
