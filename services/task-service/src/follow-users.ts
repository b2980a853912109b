/** Follows the event feed of the user service: unassigns the tasks of deleted users. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@task-manager/runtime/http/log';
import type { Database } from '@task-manager/runtime/postgres/database';
import { findUsersCursor, moveUsersCursor, unassign } from './queries.ts';
import type { UserClient } from './user-client.ts';

const pollSeconds = 20;
const timeoutMs = pollSeconds * 1000 + 2000;
const pauseMs = 200;

/**
 * Runs until the signal. The cursor moves in the transaction of the changes, so that each event takes effect once, whichever
 * replica applies it first and whenever one is killed.
 */
export async function followUsers(
  client: UserClient,
  db: Database,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  let lastCause = '';
  while (!signal.aborted) {
    try {
      await applyPage(client, db, signal);
      lastCause = '';
    } catch (error) {
      if ((error as Error).name === 'AbortError') continue;
      const cause = String(error);
      if (cause !== lastCause && db.isMigrated) logger.warn({ err: error }, 'cannot follow the users');
      lastCause = cause;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function applyPage(client: UserClient, db: Database, signal: AbortSignal): Promise<void> {
  const cursor = await findUsersCursor(db);
  const query = { limit: 100, wait: pollSeconds, ...(cursor !== null && { cursor }) };
  const { data } = await withTimeout(signal, (limit) =>
    client.GET('/users/feed', { params: { query }, signal: limit }),
  );
  if (!data) throw new Error('the user service rejected the request for its feed');
  const { items, nextCursor } = data;
  if (items.length === 0) {
    // A stopping replica responds at once: do not poll it in a tight loop.
    await sleep(pauseMs, undefined, { signal });
    return;
  }
  const deleted = items.filter(({ type }) => type === 'user.deleted').map(({ subject }) => subject);
  await db.transaction(async (transaction) => {
    const isFirst = await moveUsersCursor(transaction, cursor, nextCursor);
    if (isFirst && deleted.length > 0) await unassign(transaction, deleted);
  });
}

/** AbortSignal.timeout() inside AbortSignal.any() may be garbage-collected before it fires (nodejs/node#57736). */
async function withTimeout<Response>(
  signal: AbortSignal,
  fetch: (limit: AbortSignal) => Promise<Response>,
): Promise<Response> {
  const limit = new AbortController();
  const abort = () => {
    limit.abort(signal.reason);
  };
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  const timer = setTimeout(() => {
    limit.abort(new DOMException(`no response within ${timeoutMs} ms`, 'TimeoutError'));
  }, timeoutMs);
  try {
    return await fetch(limit.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
