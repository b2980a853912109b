/**
 * `Idempotency-Key`: a request that is sent again gets the first answer again, and nothing is done twice. As in the draft
 * "The Idempotency-Key HTTP Header Field" of the IETF's HTTPAPI group: 409 while the first is in flight, 422 for another
 * request with the same key.
 */
import { createHash } from 'node:crypto';
import stringify from 'safe-stable-stringify';
import type { Database, Queryable } from '../postgres/database.ts';
import type { Answer } from '../contract/handlers.ts';
import { Refused } from '../errors.ts';

/** A request, by its key and by what it asks. */
export interface KeyedRequest {
  key: string;
  operationId: string;
  body: unknown;
}

/**
 * Answers a request once: `handle` runs in a transaction that also keeps its answer for 24 hours, or else the kept one is
 * given. Only what succeeds is kept; of what is refused nothing stays.
 *
 * @throws {Refused} 409 while another with this key is in flight, 422 when the key was sent with another request.
 */
export async function once(
  db: Database,
  request: KeyedRequest,
  handle: (transaction: Queryable) => Promise<Answer>,
): Promise<Answer & { replayed?: true }> {
  const work = db.work();
  // Before anything is asked of others: they may have changed their minds since.
  const kept = await findAnswer(work, request);
  if (kept) return kept;
  try {
    return await work.transaction(async (transaction) => {
      let claimed: Promise<void> | undefined;
      const answer = await handle({
        schema: transaction.schema,
        async query(statement) {
          // Not before the first statement: what the handler asks of others must not hold a connection.
          await (claimed ??= claim(transaction, request));
          return transaction.query(statement);
        },
      });
      if (answer.status >= 400) throw new AnsweredWithoutEffect(answer);
      await keepAnswer(transaction, request, answer);
      return answer;
    });
  } catch (error) {
    if (error instanceof AnsweredWithoutEffect) return error.answer;
    throw error;
  }
}

/** Ends the transaction, so that nothing of it stays. */
class AnsweredWithoutEffect extends Error {
  readonly answer: Answer;
  constructor(answer: Answer) {
    super();
    this.answer = answer;
  }
}

/** From here to the end of the transaction nobody else works on this key. */
async function claim(transaction: Queryable, request: KeyedRequest): Promise<void> {
  const [lock] = await transaction.query<{ free: boolean }>({
    name: 'claim-idempotency-key',
    text: 'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as free',
    values: [`${transaction.schema} ${request.key}`],
  });
  if (!lock?.free) {
    throw new Refused(409, 'A request with this Idempotency-Key is still being worked on.', 'request-in-flight');
  }
  // A statement of its own: the first one does not see what was committed while it took the lock.
  const kept = await findAnswer(transaction, request);
  if (kept) throw new AnsweredWithoutEffect(kept);
}

async function findAnswer(db: Queryable, request: KeyedRequest): Promise<(Answer & { replayed: true }) | undefined> {
  const [kept] = await db.query<{ fingerprint: string; answer: Answer }>({
    name: 'find-idempotency-key',
    text: `select fingerprint, answer from ${db.schema}.idempotency_keys
           where key = $1 and created_at > now() - interval '24 hours'`,
    values: [request.key],
  });
  if (kept && kept.fingerprint !== fingerprintOf(request)) {
    throw new Refused(422, 'This Idempotency-Key was sent with a different request.');
  }
  return kept && { ...kept.answer, replayed: true };
}

/** Each key that comes takes two that are too old with it, so that the table does not grow. */
async function keepAnswer(transaction: Queryable, request: KeyedRequest, answer: Answer): Promise<void> {
  await transaction.query({
    name: 'keep-idempotency-key',
    text: `with expired as (
             delete from ${transaction.schema}.idempotency_keys where key in (
               select key from ${transaction.schema}.idempotency_keys
               where created_at <= now() - interval '24 hours' and key <> $1
               order by created_at limit 2 for update skip locked)
           )
           insert into ${transaction.schema}.idempotency_keys (key, fingerprint, answer) values ($1, $2, $3)
           on conflict (key) do update
           set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at`,
    values: [request.key, fingerprintOf(request), JSON.stringify(answer)],
  });
}

/** The same for the same request, in whatever order the fields of its body stand. */
function fingerprintOf({ operationId, body }: KeyedRequest): string {
  return createHash('sha256')
    .update(`${operationId} ${stringify(body)}`)
    .digest('base64url');
}
