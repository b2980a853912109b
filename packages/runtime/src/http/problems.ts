/** Problem details (RFC 9457): the body of every response from 400 up. */
import { BadRequest } from 'express-openapi-validator/dist/openapi.validator.js';
import type { Contract, ProblemKind } from '../contract/document.ts';
import type { ProblemDetails } from '../contract/handlers.ts';
import { HttpError, InvalidRequest, overloaded, type InvalidField } from '../errors.ts';
import { DatabaseUnavailable, sqlState } from '../postgres/database.ts';
import { basePathOf, pathOf, type Context, type Reply } from './context.ts';

/** `type` and `title` come from the contract's example with the name of the problem, or else with its status. */
export function problemReply(
  contract: Contract,
  { url, requestId }: Context,
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
    instance: toUriReference(pathOf(url)),
    requestId,
    ...(details.errors && { errors: details.errors.slice(0, maxErrors) }),
  });
  return { status, headers, body };
}

const maxErrors = 100;
const maxDetailLength = 2000;
const maxPointerLength = 20_000;

/** Escapes what a URI must not contain (RFC 3986 §2) and HTTP servers accept. */
function toUriReference(path: string): string {
  return path.replace(/[^\w.~!$&'()*+,;=:@/%-]|%(?![\da-f]{2})/gi, encodeURIComponent);
}

export function toProblem(error: unknown): ProblemDetails & { status: number } {
  if (error instanceof InvalidRequest) return invalid(error.errors);
  if (error instanceof HttpError) {
    const { status, type, message: detail } = error;
    return { status, detail, ...(type && { type }) };
  }
  if (error instanceof BadRequest) return invalid(fromValidator(error));
  if (error === overloaded) return { status: 503, detail: overloaded.message };
  if (error instanceof DatabaseUnavailable) return { status: 503, detail: error.message };
  // Class 22 is "data exception": the value is invalid, not the statement.
  if (sqlState(error)?.startsWith('22')) return { status: 400, detail: 'A value cannot be stored.' };
  return { status: 500, detail: 'The service failed. Its log has the cause under this request id.' };
}

function invalid(errors: InvalidField[]): ProblemDetails & { status: number } {
  const detail = errors.map((each) => `${each.pointer} ${each.detail}`).join(', ');
  return {
    status: 400,
    detail: detail.slice(0, maxDetailLength),
    errors: errors.map((each) => ({ ...each, pointer: each.pointer.slice(0, maxPointerLength) })),
  };
}

function fromValidator({ errors }: BadRequest): InvalidField[] {
  return errors.map(({ path, message, errorCode }) => ({
    pointer: errorCode ? path.replace(/^\/params\//, '/path/') : toPointer(path),
    detail: message,
    code: errorCode?.replace('.openapi.validation', '') ?? 'unknown',
  }));
}

/** For an undeclared parameter the validator reports the bare name. */
function toPointer(path: string): string {
  const [, place = '', name = ''] = /^\/(\w+)\/([^]*)$/.exec(path) ?? [];
  return `/${place}/${escapeName(name)}`;
}

export function escapeName(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function kindOf(contract: Contract, status: number, name: string | undefined): ProblemKind {
  const kind = name ? contract.problems.get(name) : firstOf(contract, status);
  if (!kind) throw new Error(`the contract has no problem ${name ?? `of status ${status}`}`);
  return kind;
}

function firstOf({ problems }: Contract, status: number): ProblemKind | undefined {
  for (const kind of problems.values()) if (kind.status === status) return kind;
  return undefined;
}
