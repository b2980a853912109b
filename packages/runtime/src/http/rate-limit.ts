/** Rate limiting, counted in PostgreSQL for all replicas (decision 014; draft-ietf-httpapi-ratelimit-headers-10). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import ipaddr from 'ipaddr.js';
import proxyAddr from 'proxy-addr';
import type { Operation } from '../contract/document.ts';
import { HttpError } from '../errors.ts';
import { batched } from '../postgres/batch.ts';
import { DatabaseUnavailable, type Database, type Queryable } from '../postgres/database.ts';
import { contextOf, type Reject, type Stage } from './context.ts';

export interface RateLimit {
  requests: number;
  /** In seconds, from the client's first request. */
  windowS: number;
  /** Their `X-Forwarded-For` is trusted, and they are not limited themselves. */
  trustedProxies: string[];
}

/** Rejects requests beyond the limit with 429. Only operations that declare 429 are limited. */
export function limitRate(limit: RateLimit, db: Database, reject: Reject): Stage {
  const { requests, windowS, trustedProxies } = limit;
  const count = createCounter(limit, db);
  const isTrusted = proxyAddr.compile(trustedProxies);

  async function check(
    req: IncomingMessage,
    res: ServerResponse,
    operation: Operation,
    client: string,
    next: () => void,
  ): Promise<void> {
    contextOf(res).client = client;
    const quota = await count(client);
    if (res.destroyed) return;
    const error = quota instanceof Error ? countError(res, quota) : applyQuota(res, quota);
    if (error) {
      contextOf(res).operation = operation;
      reject(req, res, error);
    } else {
      next();
    }
  }

  function applyQuota(res: ServerResponse, { left, resetS }: Quota): Error | undefined {
    res.setHeader('RateLimit', `"default";r=${Math.max(left, 0)};t=${resetS}`);
    res.setHeader('RateLimit-Policy', `"default";q=${requests};w=${windowS}`);
    if (left >= 0) return undefined;
    res.setHeader('Retry-After', resetS);
    return new HttpError(429, `A client may send ${requests} requests in ${windowS} s. Retry in ${resetS} s.`);
  }

  return (req, res, next) => {
    const { method = '' } = req;
    const operation = contextOf(res).route?.resource.operations.get(method === 'HEAD' ? 'GET' : method);
    const client = operation?.responses.has(429) ? clientOf(req, isTrusted) : undefined;
    if (operation && client !== undefined) void check(req, res, operation, client, next);
    else next();
  };
}

const maxCountMs = 100;

/** A count that fails at once, as on a read-only database, lets the request pass. */
function countError(res: ServerResponse, cause: Error): Error | undefined {
  const context = contextOf(res);
  context.error = cause;
  const elapsedMs = performance.now() - context.startedMs;
  return elapsedMs > maxCountMs ? new DatabaseUnavailable('The database cannot be reached.', { cause }) : undefined;
}

interface Quota {
  left: number;
  resetS: number;
}

const maxExhausted = 10_000;

function createCounter({ requests, windowS }: RateLimit, db: Database): (client: string) => Promise<Quota | Error> {
  const windowMs = windowS * 1000;
  const countBatched = batched((queryable, clients: string[]) => countRequests(queryable, clients, windowMs));
  const exhausted = new Map<string, number>();

  /** When the map is full, the oldest client is counted in the database again. */
  function remember(client: string, endsMs: number): void {
    const [oldest] = exhausted.keys();
    if (exhausted.size >= maxExhausted && oldest !== undefined) exhausted.delete(oldest);
    exhausted.set(client, endsMs);
  }

  return async (client) => {
    const endsMs = exhausted.get(client) ?? 0;
    if (endsMs > Date.now()) return { left: -1, resetS: secondsUntil(endsMs) };
    exhausted.delete(client);
    try {
      const { points, expire } = await countBatched(db, client);
      if (points === 1) void deleteExpired(db);
      if (points >= requests) remember(client, Number(expire));
      return { left: requests - points, resetS: secondsUntil(Number(expire)) };
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  };
}

function secondsUntil(endsMs: number): number {
  return Math.max(Math.ceil((endsMs - Date.now()) / 1000), 1);
}

interface Count {
  points: number;
  /** When the window ends, in milliseconds since 1970. */
  expire: string;
}

/** Counts a request for each client, in order; a client may appear several times. */
export async function countRequests(db: Queryable, clients: string[], windowMs: number): Promise<Count[]> {
  const sent = new Map<string, number>();
  for (const client of clients) sent.set(client, (sent.get(client) ?? 0) + 1);
  const nowMs = Date.now();
  const rows = await db.query<Count & { key: string }>({
    name: 'count-requests',
    // Sorted, or two replicas could deadlock.
    text: `insert into ${db.schema}.rate_limits as known (key, points, expire)
           select key, points, $3 from unnest($1::text[], $2::integer[]) as sent (key, points) order by key
           on conflict (key) do update set
             points = excluded.points + case when known.expire > $4 then known.points else 0 end,
             expire = case when known.expire > $4 then known.expire else excluded.expire end
           returning key, points, expire`,
    values: [[...sent.keys()], [...sent.values()], nowMs + windowMs, nowMs],
  });
  const counts = new Map(
    rows.map(({ key, points, expire }) => [key, { points: points - (sent.get(key) ?? 0), expire }]),
  );
  return clients.map((client) => {
    const count = counts.get(client) as Count;
    count.points += 1;
    return { ...count };
  });
}

/** Each new window deletes two expired ones, so that the table does not grow. No request waits for it. */
async function deleteExpired(db: Database): Promise<void> {
  const statement = {
    name: 'delete-expired-rate-limits',
    text: `delete from ${db.schema}.rate_limits where key in (
             select key from ${db.schema}.rate_limits where expire <= $1 order by expire limit 2 for update skip locked)`,
    values: [Date.now()],
  };
  await db.query(statement).catch(() => undefined);
}

/** The last address that is not of a trusted proxy; undefined for a proxy's own requests. */
function clientOf(req: IncomingMessage, isTrusted: ReturnType<typeof proxyAddr.compile>): string | undefined {
  const isForwarded = req.headers['x-forwarded-for'] !== undefined;
  if (!isForwarded && isTrusted(req.socket.remoteAddress ?? '', 0)) return undefined;
  return networkOf(proxyAddr(req, isTrusted));
}

/** An IPv6 client owns the 2⁶⁴ addresses of its network. An invalid address from a proxy counts as it is. */
function networkOf(address = ''): string {
  if (!ipaddr.isValid(address)) return address.slice(0, 100);
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  return `${new ipaddr.IPv6([...parsed.parts.slice(0, 4), 0, 0, 0, 0]).toString()}/64`;
}
