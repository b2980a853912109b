/** express-openapi-validator without its own routing: the router has found the operation. */
import type { RequestHandler } from 'express';
import { OpenApiValidator } from 'express-openapi-validator/dist/openapi.validator.js';
import type { Contract, Document, Operation } from '../contract/document.ts';
import { contextOf } from './context.ts';

/** Validates requests, fills in defaults and converts parameters; passes a `BadRequest` with every violation to `next`. */
export function validateRequest(contract: Contract): RequestHandler {
  let validate: RequestHandler | undefined;
  const document = forValidator(contract.document);
  return (req, res, next) => {
    const { operation, params } = contextOf(res);
    const { path, method } = operation as Operation;
    const schema = document.paths[path]?.[method.toLowerCase() as 'get'];
    Object.assign(req, { params, openapi: { expressRoute: path, openApiRoute: path, pathParams: params, schema } });
    validate ??= install(document);
    validate(req, res, next);
  };
}

function install(document: Document): RequestHandler {
  const options = {
    apiSpec: document as never,
    validateRequests: { allErrors: true },
    validateResponses: false,
    validateSecurity: false,
    fileUploader: false,
    ajvFormats: { mode: 'full' as const },
  };
  const parsed = { apiDoc: options.apiSpec, basePaths: [], routes: [], serial: 0 };
  const validate = new OpenApiValidator(options).installMiddleware(Promise.resolve(parsed)).at(-1);
  if (validate?.name !== 'requestMiddleware') throw new Error('express-openapi-validator has changed its middleware');
  return validate;
}

function forValidator(document: Document): Document {
  const copy = JSON.parse(JSON.stringify(document), (_key, value: object | null) => {
    const { in: place, format } = (value ?? {}) as { in?: unknown; format?: unknown };
    // The validator would reject reserved characters (`?email=a@b.example`), and an empty value as an unknown parameter.
    if (place === 'query') return { ...value, allowReserved: true, allowEmptyValue: true };
    return format === 'uuid' ? { ...value, ...lowerCase } : value;
  }) as Document;
  const operations = Object.values(copy.paths).flatMap((item) => Object.values(item) as Partial<Operation>[]);
  for (const part of [copy.components, ...operations]) delete (part as { responses?: unknown }).responses;
  return copy;
}

/** The validator's keyword for a conversion after validation. Its option `serDes` ignores strings that may be null. */
const lowerCase = { 'x-eov-req-serdes': { deserialize: (id: string) => id.toLowerCase() } };
