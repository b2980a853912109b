/**
 * express-openapi-validator, without what is known already: the router has found the operation, and a bundled contract
 * refers only to itself. So no request pays for the number of paths, and no start for reading the contract twice.
 */
import type { RequestHandler } from 'express';
import { OpenApiValidator } from 'express-openapi-validator/dist/openapi.validator.js';
import type { Contract, Document, Operation } from '../contract/document.ts';

/**
 * Holds each request to its operation of the contract, `res.locals.operation`, with `res.locals.params` as the
 * parameters of its path. Fills in defaults and turns parameters into the contract's types. One that breaks rules goes
 * to `next` as the validator's own `BadRequest`, which names them all.
 */
export function validator(contract: Contract): RequestHandler {
  let validate: RequestHandler | undefined;
  const document = forValidator(contract.document);
  return (req, res, next) => {
    const { path, method } = res.locals.operation as Operation;
    const params = res.locals.params as Record<string, string>;
    const schema = document.paths[path]?.[method.toLowerCase() as 'get'];
    Object.assign(req, { params, openapi: { expressRoute: path, openApiRoute: path, pathParams: params, schema } });
    validate ??= install(document);
    validate(req, res, next);
  };
}

/** Of the validator's steps the last: those before it look for the operation. Completes `document` in place. */
function install(document: Document): RequestHandler {
  const options = {
    apiSpec: document as never,
    validateRequests: { allErrors: true },
    // See conformance().
    validateResponses: false,
    validateSecurity: false,
    fileUploader: false,
    ajvFormats: { mode: 'full' as const },
  };
  const known = { apiDoc: options.apiSpec, basePaths: [], routes: [], serial: 0 };
  const validate = new OpenApiValidator(options).installMiddleware(Promise.resolve(known)).at(-1);
  if (validate?.name !== 'requestMiddleware') throw new Error('express-openapi-validator has changed');
  return validate;
}

/**
 * A copy, because the validator changes what it is given. It would refuse `?email=a@b.example` and `?q=two+words`, for
 * reserved characters that a query may hold (RFC 3986 §3.4): each parameter allows them. Without the answers, which it
 * is not asked about, it needs half the time to begin.
 */
function forValidator(document: Document): Document {
  const copy = JSON.parse(JSON.stringify(document), (_key, value: unknown) => {
    const isQueryParameter = typeof value === 'object' && value !== null && 'in' in value && value.in === 'query';
    return isQueryParameter ? { ...value, allowReserved: true } : value;
  }) as Document;
  const operations = Object.values(copy.paths).flatMap((item) => Object.values(item) as Partial<Operation>[]);
  for (const part of [copy.components, ...operations]) delete (part as { responses?: unknown }).responses;
  return copy;
}
