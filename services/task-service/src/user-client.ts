/** The user service, as the task service needs it: who is a user, and who is one no longer. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@task-manager/runtime/postgres/database';
import type { Logger } from '@task-manager/runtime/http/log';
import { Refused } from '@task-manager/runtime/errors';
import { LRUCache } from 'lru-cache';
import createClient, { type Client } from 'openapi-fetch';
import type { paths } from '../../../generated/user-service.d.ts';
import { findUsersCursor, moveUsersCursor, unassign } from './queries.ts';

/** How long a request waits for the user service, whose first answers come late on a busy machine. */
const timeoutMs = 2000;
/** For how long a user who was there is taken to be there still. Wrong by then, it is found out when the task is written. */
const knownMs = 5000;
const knownMax = 10_000;
const waitSeconds = 20;
const pauseMs = 200;

export class Users {
  readonly #client: Client<paths, 'application/json'>;
  readonly #known = new LRUCache<string, true>({
    max: knownMax,
    ttl: knownMs,
    // Asked once for all who want to know at the same time, and answered even if there is no room to remember it.
    ignoreFetchAbort: true,
    fetchMethod: async (id) => ((await this.#exists(id)) ? true : undefined),
  });

  /** `url` is where the user service answers: `http://user-service`, or `http://localhost:8080/user`. */
  constructor(url: string) {
    this.#client = createClient<paths, 'application/json'>({ baseUrl: url });
  }

  /**
   * Whether each of these is the id of a user, or none.
   *
   * @throws {Refused} 503 when the user service does not say.
   */
  async exist(ids: (string | null | undefined)[]): Promise<boolean> {
    const known = await Promise.all([...new Set(ids)].map(async (id) => !id || (await this.#known.fetch(id)) === true));
    return known.every(Boolean);
  }

  async #exists(userId: string): Promise<boolean> {
    const signal = AbortSignal.timeout(timeoutMs);
    const { response } = await this.#client
      .GET('/users/{userId}', { params: { path: { userId } }, signal })
      .catch(unreachable);
    if (response.status === 200 || response.status === 404) return response.ok;
    return unreachable(new Error(`the user service answered ${response.status}`));
  }

  /**
   * Follows the feed of the users until the signal: takes their tasks from those who were deleted. The place in the feed
   * moves in the same transaction, so each event takes effect once, whoever of several replicas is first to apply it and
   * whenever one is killed.
   */
  async follow(db: Database, logger: Logger, signal: AbortSignal): Promise<void> {
    let lastCause = '';
    while (!signal.aborted) {
      try {
        await this.#followPage(db, signal);
        lastCause = '';
      } catch (error) {
        // Told to stop while it waited.
        if ((error as Error).name === 'AbortError') continue;
        const cause = String(error);
        if (cause !== lastCause && db.migrated) logger.warn({ err: error }, 'the users cannot be followed now');
        lastCause = cause;
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #followPage(db: Database, signal: AbortSignal): Promise<void> {
    const cursor = await findUsersCursor(db);
    const query = { limit: 100, wait: waitSeconds, ...(cursor !== null && { cursor }) };
    const { data } = await within(waitSeconds * 1000 + timeoutMs, signal, (limit) =>
      this.#client.GET('/users/feed', { params: { query }, signal: limit }),
    );
    if (!data) throw new Error('the user service refused its feed');
    const { items, nextCursor } = data;
    if (items.length === 0) {
      // One that stops answers at once: it must not be asked again and again.
      await sleep(pauseMs, undefined, { signal });
      return;
    }
    const deleted = items.filter(({ type }) => type === 'user.deleted').map(({ subject }) => subject);
    await db.transaction(async (transaction) => {
      const isOurs = await moveUsersCursor(transaction, cursor, nextCursor);
      if (isOurs && deleted.length > 0) await unassign(transaction, deleted);
    });
  }
}

/**
 * Aborts what is asked for at the signal, or after the time. AbortSignal.timeout() inside AbortSignal.any() may be collected
 * as garbage before its time has come (https://github.com/nodejs/node/issues/57736).
 */
async function within<Answer>(
  timeoutMs: number,
  signal: AbortSignal,
  ask: (limit: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const limit = new AbortController();
  const abort = () => {
    limit.abort(signal.reason);
  };
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  const timer = setTimeout(() => {
    limit.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError'));
  }, timeoutMs);
  try {
    return await ask(limit.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function unreachable(error: unknown): never {
  throw new Refused(503, 'The user service cannot be reached.', undefined, { cause: error });
}
