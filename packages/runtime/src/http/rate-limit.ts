/**
 * Rate limits: how many requests a client may send in a window of time, whichever replicas they meet. Every answer tells how
 * many are left, as in the IETF's draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10). See
 * decisions/014.
 */
import type { IncomingMessage } from 'node:http';
import ipaddr from 'ipaddr.js';
import proxyAddr from 'proxy-addr';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';
import { batched } from '../postgres/batch.ts';
import type { Operation } from '../contract/document.ts';
import { DatabaseUnavailable, type Database, type Queryable } from '../postgres/database.ts';
import { pathOf, type Listener, type Outgoing } from './context.ts';
import { Refused } from '../errors.ts';
import type { RouteOf } from '../contract/router.ts';

export interface RateLimit {
  /** How many a client may send in a window; 0 is as many as it likes. */
  requests: number;
  /** How long a window is, in seconds. It begins with the client's first request. */
  windowS: number;
  /** The addresses and networks whose `X-Forwarded-For` is believed, and who are not limited themselves. */
  trustedProxies: string[];
}

/** Answers a request with what was thrown. */
type Refuse = (req: IncomingMessage, res: Outgoing, error: unknown) => void;

/**
 * Makes the listener that gives to `serve` what its client may still ask for, and lets `refuse` answer the rest with 429.
 * Only operations that have 429 in the contract are limited: neither the health, for which orchestrators ask, nor what is
 * answered without the database: pages, OPTIONS, and addresses that there are not.
 */
export function limited(limit: RateLimit, db: Database, routeOf: RouteOf, refuse: Refuse, serve: Listener): Listener {
  const { requests, windowS, trustedProxies } = limit;
  const count = counter(limit, db);
  const trust = proxyAddr.compile(trustedProxies);

  async function admit(req: IncomingMessage, res: Outgoing, operation: Operation, client: string): Promise<void> {
    const standing = await count(client);
    if (res.destroyed) return;
    const refusal = standing instanceof Error ? giveUp(res, standing) : tell(res, standing);
    if (refusal) {
      res.locals.operation = operation;
      refuse(req, res, refusal);
    } else {
      serve(req, res);
    }
  }

  /** Tells a client how it stands, and says what to refuse it with when it has sent too many. */
  function tell(res: Outgoing, { left, resetS }: Standing): Error | undefined {
    res.setHeader('RateLimit', `"default";r=${Math.max(left, 0)};t=${resetS}`);
    res.setHeader('RateLimit-Policy', `"default";q=${requests};w=${windowS}`);
    if (left >= 0) return undefined;
    res.setHeader('Retry-After', resetS);
    return new Refused(429, `A client may send ${requests} requests in ${windowS} s. Try again in ${resetS} s.`);
  }

  return (req, res) => {
    const { method = '', url = '' } = req;
    const operation = routeOf(pathOf(url))?.resource.operations.get(method === 'HEAD' ? 'GET' : method);
    const client = operation?.responses.has(429) ? clientOf(req, trust) : undefined;
    if (operation && client !== undefined) void admit(req, res, operation, client);
    else serve(req, res);
  };
}

/**
 * What has waited this long for a count that failed is not let through, to wait for the database again. One that fails at
 * once, as on a database that can only be read, is no reason not to serve.
 */
const patienceMs = 100;

function giveUp(res: Outgoing, cause: Error): Error | undefined {
  res.locals.error = cause;
  const waitedMs = performance.now() - res.locals.beganMs;
  return waitedMs > patienceMs ? new DatabaseUnavailable('The database cannot be reached.', { cause }) : undefined;
}

/** How a client stands: how many requests it has left, fewer than none when this one is too many, and when it has all again. */
interface Standing {
  left: number;
  resetS: number;
}

/** Makes the function that counts a request of a client; it resolves to an Error when it could not be counted. */
function counter(limit: RateLimit, db: Database): (client: string) => Promise<Standing | Error> {
  const limiter = new Limiter(limit, db);
  return async (client) => {
    try {
      const { remainingPoints, msBeforeNext, isFirstInDuration } = await limiter.consume(client);
      if (isFirstInDuration) void forgetWindows(db);
      return { left: remainingPoints, resetS: secondsOf(msBeforeNext) };
    } catch (error) {
      if (error instanceof RateLimiterRes) return { left: -1, resetS: secondsOf(error.msBeforeNext) };
      return error instanceof Error ? error : new Error(String(error));
    }
  };
}

/** The library's, but for its statement, which counts one request: what comes together shares one (decision 012). */
class Limiter extends RateLimiterPostgres {
  readonly #count: (client: string) => Promise<Count>;

  constructor({ requests, windowS }: RateLimit, db: Database) {
    super({
      storeClient: db,
      storeType: 'client',
      tableCreated: true,
      clearExpiredByTimeout: false,
      keyPrefix: '',
      points: requests,
      duration: windowS,
      // A client that has none left costs the database nothing until its window is over.
      inMemoryBlockOnConsumed: requests,
    });
    const count = batched((queryable, clients: string[]) => countRequests(queryable, clients, windowS * 1000));
    this.#count = (client) => count(db, client);
  }

  /** Called by the library. */
  async _upsert(client: string): Promise<{ rows: Count[] }> {
    return { rows: [await this.#count(client)] };
  }
}

/** As the library reads it: how many requests a client has sent in its window, and when that is over. */
interface Count {
  points: number;
  expire: string;
}

/** Counts a request of each of these clients, some of whom may be the same; how each then stands, in their order. */
export async function countRequests(db: Queryable, clients: string[], windowMs: number): Promise<Count[]> {
  const sent = new Map<string, number>();
  for (const client of clients) sent.set(client, (sent.get(client) ?? 0) + 1);
  const nowMs = Date.now();
  const rows = await db.query<Count & { key: string }>({
    name: 'count-requests',
    // In one order, lest two replicas wait for each other.
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

/** Rounded up, so that nobody comes back too early. */
function secondsOf(ms: number): number {
  return Math.max(Math.ceil(ms / 1000), 1);
}

/** Each window that begins takes two that are over with it, so that the table does not grow. Nobody waits for it. */
async function forgetWindows(db: Database): Promise<void> {
  const statement = {
    name: 'forget-rate-limits',
    text: `delete from ${db.schema}.rate_limits where key in (
             select key from ${db.schema}.rate_limits where expire <= $1 order by expire limit 2 for update skip locked)`,
    values: [Date.now()],
  };
  await db.query(statement).catch(() => undefined);
}

/**
 * Who asks: the address of the socket or, behind proxies that are trusted, the last one that is not theirs. Undefined when
 * it is such a proxy itself, for nobody else: the system's other service.
 */
function clientOf(req: IncomingMessage, trust: ReturnType<typeof proxyAddr.compile>): string | undefined {
  const isForwarded = req.headers['x-forwarded-for'] !== undefined;
  if (!isForwarded && trust(req.socket.remoteAddress ?? '', 0)) return undefined;
  return networkOf(proxyAddr(req, trust));
}

/** Of IPv6 the network: whoever has one has 2⁶⁴ addresses. What a proxy gives that is no address stands for itself. */
function networkOf(address = ''): string {
  if (!ipaddr.isValid(address)) return address.slice(0, 100);
  const known = ipaddr.process(address);
  if (!(known instanceof ipaddr.IPv6)) return known.toString();
  return `${new ipaddr.IPv6([...known.parts.slice(0, 4), 0, 0, 0, 0]).toString()}/64`;
}
