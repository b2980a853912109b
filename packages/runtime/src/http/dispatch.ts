/** Dispatches a valid request to the handler of its operation, once for each idempotency key. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Contract, Operation } from '../contract/document.ts';
import type { HandlerResult } from '../contract/handlers.ts';
import { Database, type Queryable } from '../postgres/database.ts';
import { contextOf, type Result, type ValidRequest } from './context.ts';
import { runOnce } from './idempotency.ts';
import type { Load } from './load-shedding.ts';

export type Dispatch = (operation: Operation, request: ValidRequest, res: ServerResponse) => Promise<Result>;

export interface DispatchOptions {
  contract: Contract;
  handlers: object;
  db: Database;
  stopping: AbortSignal;
  load: Load;
}

type Handler = (request: ValidRequest & { db: Queryable; signal: AbortSignal }) => Promise<HandlerResult>;

export function createDispatch({ contract, handlers, db, stopping, load }: DispatchOptions): Dispatch {
  // These wait for events most of the time, which is no load.
  const streams = new Set(contract.operations.filter(isStream));
  return async (operation, request, res) => {
    const { operationId } = operation;
    const handle = (handlers as Record<string, Handler | undefined>)[operationId];
    if (!handle) throw new Error(`no handler for ${operationId}`);
    const run = (queryable: Database | Queryable) => handle(new HandlerRequest(request, queryable, res, stopping));
    const key = request.headers['Idempotency-Key'];
    const cost = streams.has(operation) ? 0 : 1;
    if (cost === 0) load.addFollower(contextOf(res).client, res);
    load.running += cost;
    try {
      return await (key === undefined ? run(db) : runOnce(db, { key, operationId, body: request.body }, run));
    } finally {
      load.running -= cost;
    }
  };
}

function isStream({ responses }: Operation): boolean {
  return 'text/event-stream' in (responses.get(200)?.content ?? {});
}

/** What a handler receives. The deadline of its queries starts when it reads `db`; `signal` is made on demand. */
class HandlerRequest implements ValidRequest {
  readonly path: unknown;
  readonly query: unknown;
  readonly headers: ValidRequest['headers'];
  readonly body: unknown;
  readonly accept: unknown;
  readonly #db: Database | Queryable;
  readonly #res: ServerResponse;
  readonly #stopping: AbortSignal;

  constructor(
    { path, query, headers, body, accept }: ValidRequest,
    db: Database | Queryable,
    res: ServerResponse,
    stopping: AbortSignal,
  ) {
    this.path = path;
    this.query = query;
    this.headers = headers;
    this.body = body;
    this.accept = accept;
    this.#db = db;
    this.#res = res;
    this.#stopping = stopping;
  }

  get db(): Queryable {
    return this.#db instanceof Database ? this.#db.session() : this.#db;
  }

  get signal(): AbortSignal {
    return endSignal(this.#res, this.#stopping);
  }
}

export function headersOf({ parameters }: Operation, received: IncomingHttpHeaders): ValidRequest['headers'] {
  const headers: ValidRequest['headers'] = {};
  for (const { in: place, name } of parameters) {
    if (place === 'header') headers[name] = received[name.toLowerCase()] as string | undefined;
  }
  return headers;
}

/** Aborted when the response is complete, the client disconnects or the service stops. */
function endSignal(res: ServerResponse, stopping: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const end = () => {
    stopping.removeEventListener('abort', end);
    controller.abort();
  };
  stopping.addEventListener('abort', end);
  res.once('close', end);
  if (stopping.aborted) end();
  return controller.signal;
}
