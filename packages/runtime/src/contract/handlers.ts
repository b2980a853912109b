/** Types: a contract's operations → the handlers to write. */
import type { InvalidField } from '../errors.ts';
import type { Queryable } from '../postgres/database.ts';

/**
 * Type-checks handlers: a missing operation, or a status, field or body that the contract does not declare, does not compile.
 * (`satisfies` accepts excess fields in the result of an async function.)
 */
export function implement<Operations>() {
  return <Results extends { [Id in keyof Operations]: Outcome<Operations[Id]> }>(
    handlers: Returning<Operations, Results> & NothingElse<Operations, Results>,
  ): Handlers<Operations> => handlers;
}

export type Handlers<Operations> = {
  [Id in keyof Operations]: (request: Request<Operations[Id]>) => Promise<Outcome<Operations[Id]>>;
};

/** The parts of a valid request, in the contract's types and with its defaults. */
export interface Request<Operation> {
  path: Parameters<Operation, 'path'>;
  query: Parameters<Operation, 'query'>;
  headers: Parameters<Operation, 'header'>;
  body: Operation extends { requestBody: { content: infer Content } } ? Content[keyof Content] : undefined;
  /** The response media type that the client prefers. */
  accept: Operation extends { responses: { 200: { content: infer Content } } } ? keyof Content : never;
  /** The database, or the request's transaction. All queries together have 1.7 s; reading `db` again starts a new deadline. */
  db: Queryable;
  /** Aborted when the client disconnects or the service stops. */
  signal: AbortSignal;
}

/** What a handler may return: a status that the contract declares, with its body and headers. */
export type Outcome<Operation> = Operation extends { responses: infer Responses }
  ? {
      [Status in keyof Responses]: { status: Status } & Content<Responses[Status]> & Headers<Responses[Status]>;
    }[keyof Responses]
  : never;

export interface HandlerResult {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
  problem?: ProblemDetails;
  stream?: AsyncIterable<string | Uint8Array>;
}

/** The part of a problem that a handler knows; the runtime adds the rest. */
export interface ProblemDetails {
  /** The problem's name in the contract; optional where the status has only one. */
  type?: string;
  detail: string;
  errors?: InvalidField[];
}

type Parameters<Operation, In extends string> = Operation extends { parameters: { [Key in In]: infer Given } }
  ? Given
  : Operation extends { parameters: { [Key in In]?: infer Given } }
    ? NonNullable<Given>
    : never;

type Content<Response> = Response extends { content: infer Media }
  ? {
      [Type in keyof Media]: Type extends 'application/problem+json'
        ? { problem: ProblemDetails }
        : Type extends 'text/event-stream'
          ? { body?: never; stream: AsyncIterable<string | Uint8Array> }
          : { body: Media[Type]; stream?: never };
    }[keyof Media]
  : { body?: never };

type RuntimeHeader =
  | 'X-Request-Id'
  | 'RateLimit'
  | 'RateLimit-Policy'
  | 'Retry-After'
  | 'Allow'
  | 'Cache-Control'
  | 'Vary'
  | 'X-Accel-Buffering'
  | 'ETag'
  | 'Link'
  | 'Idempotent-Replayed';

type Headers<Response> = Response extends { headers: infer Declared }
  ? [DeclaredHeader<Declared>] extends [never]
    ? { headers?: never }
    : { headers: { [Name in DeclaredHeader<Declared>]: Declared[Name] } }
  : { headers?: never };

type DeclaredHeader<Declared> = Exclude<
  keyof { [Name in keyof Declared as string extends Name ? never : Name]: unknown },
  RuntimeHeader
> &
  keyof Declared;

type Returning<Operations, Results> = {
  [Id in keyof Results]: (request: Request<Operations[Id & keyof Operations]>) => Promise<Results[Id]>;
};

type NothingElse<Operations, Results> = {
  [Id in keyof Results]: Id extends keyof Operations
    ? (request: Request<Operations[Id]>) => Promise<Exactly<Results[Id], Outcome<Operations[Id]>>>
    : never;
};

/** `Given`, with `never` for fields that `Declared` does not have. Distributes over the results of a handler, by status. */
type Exactly<Given, Declared> = Given extends { status: infer Status }
  ? ExactFields<Given, Extract<Declared, { status: Status }>>
  : never;

type ExactFields<Given, Declared> = Given extends readonly (infer Item)[]
  ? ExactFields<Item, Extract<Declared, readonly unknown[]>[number]>[]
  : Given extends AsyncIterable<unknown>
    ? Given
    : Given extends object
      ? {
          [Key in keyof Given]: Key extends keyof NonNullable<Declared>
            ? ExactFields<Given[Key], NonNullable<Declared>[Key]>
            : never;
        }
      : Given;
