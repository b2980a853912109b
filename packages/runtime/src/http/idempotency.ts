/** `Idempotency-Key`: a repeated request gets the first response again (IETF draft-ietf-httpapi-idempotency-key-header). */
import { createHash } from 'node:crypto';
import stringify from 'safe-stable-stringify';
import type { HandlerResult } from '../contract/handlers.ts';
import { HttpError } from '../errors.ts';
import type { Database, Queryable } from '../postgres/database.ts';
import type { Result } from './context.ts';

export interface KeyedRequest {
  key: string;
  operationId: string;
  body: unknown;
}

/**
 * Runs `handle` in a transaction that also stores its result for 24 hours, or returns the stored result.
 * @throws {HttpError} 409 while a request with this key is in progress, 422 when the key came with another request.
 */
export async function runOnce(
  db: Database,
  request: KeyedRequest,
  handle: (transaction: Queryable) => Promise<HandlerResult>,
): Promise<Result> {
  const session = db.session();
  // Before the handler calls other services: their data may have changed since the first request.
  const stored = await findResult(session, request);
  if (stored) return stored;
  try {
    return await session.transaction(async (transaction) => {
      let claimed: Promise<void> | undefined;
      const result = await handle({
        schema: transaction.schema,
        async query(statement) {
          // At the first statement: calls to other services must not hold a connection.
          await (claimed ??= claim(transaction, request));
          return transaction.query(statement);
        },
      });
      if (result.status >= 400) throw new RolledBack(result);
      await storeResult(transaction, request, result);
      return result;
    });
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error;
    return error.result ?? ((await findResult(session, request)) as Result);
  }
}

class RolledBack extends Error {
  readonly result: Result | undefined;

  constructor(result?: Result) {
    super();
    this.result = result;
  }
}

/** Locks the key until the transaction ends. */
async function claim(transaction: Queryable, request: KeyedRequest): Promise<void> {
  const [lock] = await transaction.query<{ free: boolean }>({
    name: 'claim-idempotency-key',
    text: 'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as free',
    values: [`${transaction.schema} ${request.key}`],
  });
  if (!lock?.free) {
    throw new HttpError(409, 'A request with this Idempotency-Key is still in progress.', 'request-in-flight');
  }
  // A separate statement, because the first does not see what was committed before it had the lock.
  if (await findResult(transaction, request)) throw new RolledBack();
}

/** The lock makes this a write: with synchronous standbys, the stored result is returned when they have it. */
async function findResult(db: Queryable, request: KeyedRequest): Promise<Result | undefined> {
  const [stored] = await db.query<{ fingerprint: string; answer: HandlerResult }>({
    name: 'find-idempotency-key',
    text: `select fingerprint, answer from ${db.schema}.idempotency_keys
           where key = $1 and created_at > now() - interval '24 hours'
           for update`,
    values: [request.key],
  });
  if (stored && stored.fingerprint !== fingerprintOf(request)) {
    throw new HttpError(422, 'This Idempotency-Key was used with a different request.');
  }
  return stored && { ...stored.answer, replayed: true };
}

/** Each new key deletes two expired ones, so that the table does not grow. */
async function storeResult(transaction: Queryable, request: KeyedRequest, result: HandlerResult): Promise<void> {
  await transaction.query({
    name: 'store-idempotency-key',
    text: `with expired as (
             delete from ${transaction.schema}.idempotency_keys where key in (
               select key from ${transaction.schema}.idempotency_keys
               where created_at <= now() - interval '24 hours' and key <> $1
               order by created_at limit 2 for update skip locked)
           )
           insert into ${transaction.schema}.idempotency_keys (key, fingerprint, answer) values ($1, $2, $3)
           on conflict (key) do update
           set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at`,
    values: [request.key, fingerprintOf(request), JSON.stringify(result)],
  });
}

function fingerprintOf({ operationId, body }: KeyedRequest): string {
  return createHash('sha256')
    .update(`${operationId} ${stringify(body)}`)
    .digest('base64url');
}
