/** A valid request → what the operation's handler answers. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { sizeMax } from '../postgres/batch.ts';
import type { Operation } from '../contract/document.ts';
import { Database, type Queryable } from '../postgres/database.ts';
import type { Answer } from '../contract/handlers.ts';
import { once } from './idempotency.ts';
import type { Service } from '../service.ts';

/** The parts of a valid request, as the contract has them. */
export interface Asked {
  path: unknown;
  query: unknown;
  headers: Record<string, string | undefined>;
  body: unknown;
  accept: unknown;
}

/** An answer, and whether it was given before. */
export type Answered = Answer & { replayed?: true };

/** What every handler is, seen from here; `implement()` has checked what each takes and answers. */
type Handler = (request: Asked & { db: Queryable; signal: AbortSignal }) => Promise<Answer>;

/**
 * Beyond this many requests at work no other is begun, lest what waits take ever more memory. Not sooner: to refuse one costs
 * as much as to answer one of a batch. Of the dear ones, which need a connection for themselves, far fewer may wait: see
 * database.ts.
 */
const atWorkMax = 8 * sizeMax;

/** Calls the operation's handler, once for each idempotency key. */
export class Answers {
  readonly #service: Pick<Service, 'handlers' | 'db' | 'health'>;
  /** Operations that wait for what happens, and are no work meanwhile. */
  readonly #waiting: Set<string>;
  #atWork = 0;

  constructor(service: Pick<Service, 'contract' | 'handlers' | 'db' | 'health'>) {
    this.#service = service;
    const waiting = service.contract.operations.filter((each) => 'text/event-stream' in contentOf(each));
    this.#waiting = new Set(waiting.map(({ operationId }) => operationId));
  }

  /** Whether there is so much to do that whoever asks now had better ask again later. */
  get overloaded(): boolean {
    return this.#atWork >= atWorkMax;
  }

  async to({ operationId }: Operation, asked: Asked, res: ServerResponse): Promise<Answered> {
    const { handlers, db, health } = this.#service;
    const handle = (handlers as Record<string, Handler | undefined>)[operationId];
    if (!handle) throw new Error(`no handler for ${operationId}`);
    const run = (queryable: Database | Queryable) => handle(new HandlerRequest(asked, queryable, res, health.stopping));
    const key = asked.headers['Idempotency-Key'];
    const work = this.#waiting.has(operationId) ? 0 : 1;
    this.#atWork += work;
    try {
      return await (key === undefined ? run(db) : once(db, { key, operationId, body: asked.body }, run));
    } finally {
      this.#atWork -= work;
    }
  }
}

function contentOf({ responses }: Operation): Record<string, unknown> {
  return responses.get(200)?.content ?? {};
}

/** What a handler is given. The time for its work begins when it asks for `db`; few ask for the signal, made only for them. */
class HandlerRequest implements Asked {
  readonly path: unknown;
  readonly query: unknown;
  readonly headers: Asked['headers'];
  readonly body: unknown;
  readonly accept: unknown;
  readonly #db: Database | Queryable;
  readonly #res: ServerResponse;
  readonly #stopping: AbortSignal;

  constructor(
    { path, query, headers, body, accept }: Asked,
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
    return this.#db instanceof Database ? this.#db.work() : this.#db;
  }

  get signal(): AbortSignal {
    return endOf(this.#res, this.#stopping);
  }
}

/** The headers that the contract has for it, by their names there. */
export function headersOf({ parameters }: Operation, given: IncomingHttpHeaders): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {};
  for (const { in: place, name } of parameters) {
    if (place === 'header') headers[name] = given[name.toLowerCase()] as string | undefined;
  }
  return headers;
}

/** Comes when the client has closed the connection or has its answer, or when the service stops. */
function endOf(res: ServerResponse, stopping: AbortSignal): AbortSignal {
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
