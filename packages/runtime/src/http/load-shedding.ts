/** Load shedding: how much work may be in progress at once, and how the rest is rejected (decision 015). */
import type { ServerResponse } from 'node:http';
import { HttpError, overloaded } from '../errors.ts';
import { maxBatchSize } from '../postgres/batch.ts';
import type { Database } from '../postgres/database.ts';
import { contextOf, type Reject, type Stage } from './context.ts';
import { healthOperations } from './health.ts';
import type { RequestLog } from './log.ts';

// Not lower: rejecting a request costs as much as serving one of a batch. database.ts bounds those that need a connection.
const maxRunning = 8 * maxBatchSize;
const maxBodyBytes = 64 * 1_048_576;
const maxFollowers = 5000;
const maxFollowersOfClient = 500;

export class Load {
  /** Handlers that are running, except event streams and long polls. */
  running = 0;
  bodyBytes = 0;
  /** Event streams and long polls, by client where clients are known. */
  readonly #followers = new Map<string | undefined, number>();
  #followerCount = 0;

  /**
   * Counts a request that may wait for events, until its response ends.
   * @throws `overloaded` when there are too many; {HttpError} 429 when too many are of one client.
   */
  addFollower(client: string | undefined, res: ServerResponse): void {
    const ofClient = this.#followers.get(client) ?? 0;
    if (this.#followerCount >= maxFollowers) throw overloaded;
    if (client !== undefined && ofClient >= maxFollowersOfClient) {
      res.setHeader('Retry-After', 1);
      throw new HttpError(429, `A client may follow a feed with ${maxFollowersOfClient} requests at once.`);
    }
    this.#followerCount += 1;
    this.#followers.set(client, ofClient + 1);
    res.once('close', () => {
      this.#followerCount -= 1;
      const left = (this.#followers.get(client) ?? 1) - 1;
      if (left > 0) this.#followers.set(client, left);
      else this.#followers.delete(client);
    });
  }

  get isFull(): boolean {
    return this.running >= maxRunning;
  }

  get isBodyMemoryFull(): boolean {
    return this.bodyBytes > maxBodyBytes;
  }
}

/** Rejects requests with 503, before anything of them is read, while the process is overloaded. */
export function shedLoad(load: Load, db: Database, log: RequestLog, reject: Reject): Stage {
  const rejectSoon = gathered<ServerResponse>((res) => {
    reject(res.req, res, overloaded);
    log.rejected(res);
  });
  return (req, res, next) => {
    // A request with an idempotency key needs a connection of its own.
    const isFull = load.isFull || (db.isQueueFull && req.headers['idempotency-key'] !== undefined);
    if (isFull && !isHealthCheck(res)) rejectSoon(res);
    else next();
  };
}

function isHealthCheck(res: ServerResponse): boolean {
  return healthOperations.has(contextOf(res).route?.resource.operations.get('GET')?.operationId);
}

const gatherMs = 2;

/** Handles the items of a few milliseconds in one turn of the event loop, which is cheaper. */
function gathered<Item>(handle: (item: Item) => void): (item: Item) => void {
  let items: Item[] = [];
  function handleAll(): void {
    const all = items;
    items = [];
    all.forEach(handle);
  }
  return (item) => {
    if (items.push(item) === 1) setTimeout(handleAll, gatherMs);
  };
}
