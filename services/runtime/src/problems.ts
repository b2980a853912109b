/** Problem details (RFC 9457): what every error that leaves a service, from whatever layer, is answered with. */
import { BadRequest } from 'express-openapi-validator/dist/openapi.validator.js';
import type { Contract, ProblemKind } from './contract.ts';
import { DatabaseUnavailable, sqlState } from './database.ts';
import { pathOf, type Known } from './exchange.ts';
import type { ProblemDetails } from './handlers.ts';
import type { Reply } from './replies.ts';

/** Thrown when a request breaks a rule of the contract that JSON Schema cannot say. Answered with 400. */
export class InvalidRequest extends Error {
  readonly errors: NonNullable<ProblemDetails['errors']>;
  constructor(errors: NonNullable<ProblemDetails['errors']>) {
    super(errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join(', '));
    this.errors = errors;
  }
}

/** Thrown for a request that is refused with another status than 400, from where the handler cannot return it. */
export class Refused extends Error {
  readonly status: number;
  /** The problem's name in the contract; may be left out where there is one of this status. */
  readonly type: string | undefined;
  constructor(status: number, detail: string, type?: string, options?: ErrorOptions) {
    super(detail, options);
    this.status = status;
    this.type = type;
  }
}

/** The answer to what went wrong; `title` and `type` come from the contract's example of that name, or of that status. */
export function problemOf(
  contract: Contract,
  { url, requestId }: Known,
  status: number,
  details: ProblemDetails,
): Reply {
  const { name, title, constants } = kindOf(contract, status, details.type);
  const headers = [...constants, 'Content-Type', 'application/problem+json; charset=utf-8'];
  if (status === 503) headers.push('Retry-After', '1');
  const body = JSON.stringify({
    type: `${basePathOf(contract, url)}/problems/${name}`,
    title,
    status,
    detail: details.detail,
    instance: pathOf(url),
    requestId,
    ...(details.errors && { errors: details.errors.slice(0, 100) }),
  });
  return { status, headers, body };
}

/** The prefix under which the request came, of those that the service answers under. */
export function basePathOf({ basePaths }: Contract, url: string): string {
  return basePaths.find((base) => url.startsWith(`${base}/`)) ?? '';
}

/** Turns whatever was thrown into what a problem says of it. */
export function toProblem(error: unknown): ProblemDetails & { status: number } {
  if (error instanceof InvalidRequest) return { status: 400, detail: error.message, errors: error.errors };
  if (error instanceof Refused) {
    const { status, type, message: detail } = error;
    return { status, detail, ...(type && { type }) };
  }
  if (error instanceof BadRequest) return fromValidator(error);
  if (error instanceof DatabaseUnavailable) return { status: 503, detail: error.message };
  if (isParserError(error)) return fromParser(error);
  // Class 22 is "data exception": the value, not the statement, is at fault.
  if (sqlState(error)?.startsWith('22')) return { status: 400, detail: 'A value cannot be stored.' };
  return { status: 500, detail: 'The service failed. Its log has the cause under this request id.' };
}

function fromValidator(error: BadRequest): ProblemDetails & { status: number } {
  const errors = error.errors.map(({ path, message, errorCode }) => ({
    pointer: path.replace(/^\/params\//, '/path/'),
    detail: message,
    code: errorCode?.replace('.openapi.validation', '') ?? 'unknown',
  }));
  return {
    status: 400,
    detail: errors
      .map((each) => `${each.pointer} ${each.detail}`)
      .join(', ')
      .slice(0, 2000),
    errors,
  };
}

/** What body-parser and Express throw (http-errors). */
interface ParserError {
  status: number;
  type?: string;
  message: string;
}

function isParserError(error: unknown): error is ParserError {
  return error instanceof Error && 'expose' in error && 'status' in error && Number(error.status) < 500;
}

function fromParser(error: ParserError): ProblemDetails & { status: number } {
  switch (error.status) {
    case 413:
      return { status: 413, detail: 'The body is larger than 1 MB.' };
    case 415:
      return {
        status: 415,
        detail: 'This address reads application/json in UTF-8, plain or compressed by gzip, deflate or br.',
      };
    default:
      return toProblem(error.type === 'entity.parse.failed' ? notJson(error) : damaged);
  }
}

/** What a body is answered with that cannot be parsed. */
export function notJson({ message }: { message: string }): InvalidRequest {
  return new InvalidRequest([{ pointer: '/body', detail: `is not JSON: ${message}`, code: 'json' }]);
}

const damaged = new InvalidRequest([{ pointer: '/body', detail: 'is incomplete or damaged', code: 'json' }]);

function kindOf(contract: Contract, status: number, name: string | undefined): ProblemKind {
  const kind = name
    ? contract.problems.get(name)
    : [...contract.problems.values()].find((each) => each.status === status);
  if (!kind) throw new Error(`the contract has no problem ${name ?? `of status ${status}`}`);
  return kind;
}
