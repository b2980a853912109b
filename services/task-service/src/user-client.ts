/** The user service, as the task service needs it: whether a user exists. */
import { HttpError } from '@task-manager/runtime/errors';
import { LRUCache } from 'lru-cache';
import createClient, { type Client } from 'openapi-fetch';
import type { paths } from '../../../generated/user-service.d.ts';

export type UserClient = Client<paths, 'application/json'>;

/** `url` is the address of the user service: `http://user-service`, or `http://localhost:8080/user`. */
export function createUserClient(url: string): UserClient {
  return createClient<paths, 'application/json'>({ baseUrl: url });
}

/** Long, because the first responses of a starting service are slow on a busy machine. */
const timeoutMs = 2000;
/** A user deleted within this time is detected when the task is written. */
const cacheMs = 5000;
const maxCached = 10_000;

export class UserDirectory {
  readonly #client: UserClient;
  readonly #existing = new LRUCache<string, true>({
    max: maxCached,
    ttl: cacheMs,
    // Concurrent lookups share one request, whose result is returned even when it is evicted meanwhile.
    ignoreFetchAbort: true,
    fetchMethod: async (id) => ((await this.#fetch(id)) ? true : undefined),
  });

  constructor(client: UserClient) {
    this.#client = client;
  }

  /**
   * Whether all of these users exist; ids that are absent or null count as existing.
   *
   * @throws {HttpError} 503 when the user service is unavailable.
   */
  async exist(ids: (string | null | undefined)[]): Promise<boolean> {
    const results = await Promise.all(
      [...new Set(ids)].map(async (id) => !id || (await this.#existing.fetch(id)) === true),
    );
    return results.every(Boolean);
  }

  async #fetch(userId: string): Promise<boolean> {
    const signal = AbortSignal.timeout(timeoutMs);
    const { response } = await this.#client
      .GET('/users/{userId}', { params: { path: { userId } }, signal })
      .catch(unavailable);
    if (response.status === 200 || response.status === 404) return response.ok;
    throw new HttpError(503, `The user service responded with ${response.status}.`);
  }
}

function unavailable(error: unknown): never {
  throw new HttpError(503, 'The user service cannot be reached.', undefined, { cause: error });
}
