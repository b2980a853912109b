/** Load shedding: how much work may be in progress at once, and how the rest is rejected (decision 015). */
import type { ServerResponse } from 'node:http';
import { overloaded } from '../errors.ts';
import { maxBatchSize } from '../postgres/batch.ts';
import type { Database } from '../postgres/database.ts';
import { contextOf, type Reject, type Stage } from './context.ts';
import { healthOperations } from './health.ts';
import type { RequestLog } from './log.ts';

// Not lower: rejecting a request costs as much as serving one of a batch. database.ts bounds those that need a connection.
const maxRunning = 8 * maxBatchSize;
const maxBodyBytes = 64 * 1_048_576;

export class Load {
  /** Handlers that are running, except event streams and long polls. */
  running = 0;
  bodyBytes = 0;

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
