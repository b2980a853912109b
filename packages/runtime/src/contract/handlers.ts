/** Types: a contract's operations → the handlers to write. */
import type { Queryable } from '../postgres/database.ts';

/**
 * Says that these handlers are all of a contract's operations, no more and no less:
 * `implement<operations>()({ async createTask({ body }) { … } })`.
 *
 * It does not compile when an operation is missing or unknown, a parameter is misspelt, or an answer has a status, a
 * field or a body that the contract does not have for it. (A plain `satisfies` lets excess fields pass: TypeScript
 * checks them only in a literal, and an async function's answer is no longer one.)
 */
export function implement<Operations>() {
  return <Answers extends { [Id in keyof Operations]: Outcome<Operations[Id]> }>(
    handlers: Returning<Operations, Answers> & NothingElse<Operations, Answers>,
  ): Handlers<Operations> => handlers;
}

/** One function for each `operationId` of the contract. */
export type Handlers<Operations> = {
  [Id in keyof Operations]: (request: Request<Operations[Id]>) => Promise<Outcome<Operations[Id]>>;
};

/** What a handler is given: the parts of the request, as the contract has them, validated and with defaults filled in. */
export interface Request<Operation> {
  path: Parameters<Operation, 'path'>;
  query: Parameters<Operation, 'query'>;
  headers: Parameters<Operation, 'header'>;
  body: Operation extends { requestBody: { content: infer Content } } ? Content[keyof Content] : undefined;
  /** Which of the media types that it answers with the client likes best. */
  accept: Operation extends { responses: { 200: { content: infer Content } } } ? keyof Content : never;
  /**
   * The database, or the transaction that this request is in. All that is asked of it has 1.7 s in all; who waits for
   * something else, as long polls do, reads it again from the request, and so begins anew.
   */
  db: Queryable;
  /** Comes when nobody waits for the answer any more, or the service stops. */
  signal: AbortSignal;
}

/** What a handler may answer: one of the statuses that the contract declares, with its body and headers. */
export type Outcome<Operation> = Operation extends { responses: infer Responses }
  ? {
      [Status in keyof Responses]: { status: Status } & Content<Responses[Status]> & Headers<Responses[Status]>;
    }[keyof Responses]
  : never;

/** What every outcome is, seen from the runtime. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
  problem?: ProblemDetails;
  stream?: AsyncIterable<string>;
}

/** The part of a problem that a handler knows; the runtime adds the rest. */
export interface ProblemDetails {
  /** The problem's name in the contract. May be left out where the operation has one problem of this status. */
  type?: string;
  /** What happened this time, for the person who reads it. */
  detail: string;
  errors?: { pointer: string; detail: string; code: string }[];
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
          ? { body?: never; stream: AsyncIterable<string> }
          : { body: Media[Type]; stream?: never };
    }[keyof Media]
  : { body?: never };

/** The headers that the runtime sends by itself, where the contract declares them. */
type RuntimeHeader =
  | 'X-Request-Id'
  | 'RateLimit'
  | 'RateLimit-Policy'
  | 'Retry-After'
  | 'Allow'
  | 'Cache-Control'
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

/** Where TypeScript learns what each handler answers. */
type Returning<Operations, Answers> = {
  [Id in keyof Answers]: (request: Request<Operations[Id & keyof Operations]>) => Promise<Answers[Id]>;
};

type NothingElse<Operations, Answers> = {
  [Id in keyof Answers]: Id extends keyof Operations
    ? (request: Request<Operations[Id]>) => Promise<Exactly<Answers[Id], Outcome<Operations[Id]>>>
    : never;
};

/** `Given`, with `never` for what `Declared` does not have. Distributes over the answers of a handler, by status. */
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
