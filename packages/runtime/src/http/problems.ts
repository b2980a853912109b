/** Problem details (RFC 9457): what every error that leaves a service, from whatever layer, is answered with. */
import { BadRequest } from 'express-openapi-validator/dist/openapi.validator.js';
import type { Contract, ProblemKind } from '../contract/document.ts';
import { DatabaseUnavailable, sqlState } from '../postgres/database.ts';
import { pathOf, type Known } from './context.ts';
import type { ProblemDetails } from '../contract/handlers.ts';
import { overloaded, Refused } from '../errors.ts';
import type { Reply } from './respond.ts';

/** Thrown when a request breaks a rule of the contract that JSON Schema cannot say. Answered with 400. */
export class InvalidRequest extends Error {
  readonly errors: NonNullable<ProblemDetails['errors']>;
  constructor(errors: NonNullable<ProblemDetails['errors']>) {
    super(errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join(', '));
    this.errors = errors;
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
    instance: toUriReference(pathOf(url)),
    requestId,
    ...(details.errors && { errors: details.errors.slice(0, 100) }),
  });
  return { status, headers, body };
}

/** A path with what no URI may hold (RFC 3986 §2) escaped: HTTP servers take more than that. */
function toUriReference(path: string): string {
  return path.replace(/[^\w.~!$&'()*+,;=:@/%-]|%(?![\da-f]{2})/gi, encodeURIComponent);
}

/** The prefix under which the request came, of those that the service answers under. */
export function basePathOf({ basePaths }: Contract, url: string): string {
  return basePaths.find((base) => url.startsWith(`${base}/`)) ?? '';
}

/** Turns whatever was thrown into what a problem says of it. */
export function toProblem(error: unknown): ProblemDetails & { status: number } {
  if (error instanceof InvalidRequest) return invalid(error.errors);
  if (error instanceof Refused) {
    const { status, type, message: detail } = error;
    return { status, detail, ...(type && { type }) };
  }
  if (error instanceof BadRequest) return invalid(fromValidator(error));
  if (error === overloaded) return { status: 503, detail: overloaded.message };
  if (error instanceof DatabaseUnavailable) return { status: 503, detail: error.message };
  // Class 22 is "data exception": the value, not the statement, is at fault.
  if (sqlState(error)?.startsWith('22')) return { status: 400, detail: 'A value cannot be stored.' };
  return { status: 500, detail: 'The service failed. Its log has the cause under this request id.' };
}

function invalid(errors: InvalidRequest['errors']): ProblemDetails & { status: number } {
  const detail = errors.map((each) => `${each.pointer} ${each.detail}`).join(', ');
  return {
    status: 400,
    detail: detail.slice(0, detailMax),
    errors: errors.map((each) => ({ ...each, pointer: each.pointer.slice(0, pointerMax) })),
  };
}

/** How long the contract lets them be, whatever was sent. */
const detailMax = 2000;
const pointerMax = 20_000;

function fromValidator({ errors }: BadRequest): InvalidRequest['errors'] {
  return errors.map(({ path, message, errorCode }) => ({
    pointer: errorCode ? path.replace(/^\/params\//, '/path/') : toPointer(path),
    detail: message,
    code: errorCode?.replace('.openapi.validation', '') ?? 'unknown',
  }));
}

/** Of a parameter that the contract does not have, the validator gives the bare name. */
function toPointer(path: string): string {
  const [, place = '', name = ''] = /^\/(\w+)\/([^]*)$/.exec(path) ?? [];
  return `/${place}/${escapeName(name)}`;
}

/** A name as a JSON Pointer has it (RFC 6901 §3). */
export function escapeName(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function kindOf(contract: Contract, status: number, name: string | undefined): ProblemKind {
  const kind = name ? contract.problems.get(name) : firstOf(contract, status);
  if (!kind) throw new Error(`the contract has no problem ${name ?? `of status ${status}`}`);
  return kind;
}

/** Without a list of them made for each refusal. */
function firstOf({ problems }: Contract, status: number): ProblemKind | undefined {
  for (const kind of problems.values()) if (kind.status === status) return kind;
  return undefined;
}
