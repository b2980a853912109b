/** One request of one client, and what is wrong with its answer by itself. */
import createClient, { type Client as ApiClient } from 'openapi-fetch';
import type { paths } from '../../generated/task-manager.d.ts';
import type { Call, Thing } from './history.ts';
import type { Random } from './random.ts';

export type Api = ApiClient<paths, 'application/json'>;

/** Where requests are sent: the gateway, or a replica itself. */
export interface Place {
  name: string;
  api: Api;
}

export function placeAt(name: string, url: string): Place {
  return { name, api: createClient<paths, 'application/json'>({ baseUrl: url }) };
}

export interface Asked<Data> {
  request: string;
  places: Place[];
  ask: (api: Api, signal: AbortSignal) => Promise<{ data?: Data | undefined; error?: unknown; response: Response }>;
  /** The statuses that the contract has for it, in this case. */
  expected: number[];
}

export interface Answer<Data> {
  call: Call;
  /** None when it was lost. */
  status: number | undefined;
  data: Data | undefined;
  /** Whether what was asked for may have happened, though nobody says so. */
  unknown: boolean;
}

export interface Surroundings {
  /** Milliseconds since the run began. */
  now: () => number;
  /** Whether something is being struck: only then clients lose patience, for what they asked may happen later. */
  isDisturbed: () => boolean;
  /** Told of every request that is over. `status` is undefined when there was no answer. */
  report: (call: Call, status: number | undefined, wrong?: string) => void;
}

/** Longer than any request may take, also at a replica that stands still for a while. */
const answerTimeoutMs = 10_000;

/** Asks at any of the places, and waits for the answer as long as chance has it. */
export async function ask<Data>(
  { now, isDisturbed, report }: Surroundings,
  client: string,
  random: Random,
  { request, places, ask: send, expected }: Asked<Data>,
  key: string | undefined,
): Promise<Answer<Data>> {
  const place = random.pick(places);
  const isImpatient = random.chance(0.04) && isDisturbed();
  const patience = new AbortController();
  const timer = setTimeout(
    () => {
      patience.abort();
    },
    isImpatient ? random.integer(1, 400) : answerTimeoutMs,
  );
  const keySaid = key === undefined ? '' : ` (Idempotency-Key: ${key})`;
  const call: Call = { client, where: place.name, request: request + keySaid, answer: '', began: now(), ended: 0 };
  try {
    const { data, error, response } = await send(place.api, patience.signal);
    const { status } = response;
    call.ended = now();
    call.answer = `${status}${isThing(data) ? ` version ${data.version}` : ''}`;
    report(call, status, wrongWith(response, error, expected));
    return { call, status, data: response.ok ? data : undefined, unknown: status >= 500 };
  } catch (error) {
    call.ended = now();
    const reason = (error as { cause?: { code?: string } }).cause?.code ?? String(error);
    call.answer = patience.signal.aborted ? 'nobody waited for it' : `lost (${reason})`;
    const isHanging = patience.signal.aborted && !isImpatient;
    if (!patience.signal.aborted || isHanging) {
      report(call, undefined, isHanging ? `no answer within ${answerTimeoutMs / 1000} s` : undefined);
    }
    return { call, status: undefined, data: undefined, unknown: true };
  } finally {
    clearTimeout(timer);
  }
}

/** What the contract does not have. That something is away is said with 503, `Retry-After` and a problem. */
function wrongWith(response: Response, error: unknown, expected: number[]): string | undefined {
  const { status } = response;
  if (expected.includes(status)) return undefined;
  // Of the gateway: the replica was lost before it answered.
  if (status === 502) return undefined;
  if (status !== 503) return `answered ${status} ${JSON.stringify(error)}`;
  if (!response.headers.has('Retry-After')) return '503 without Retry-After';
  return (error as { status?: number } | undefined)?.status === 503 ? undefined : '503 without a problem';
}

function isThing(data: unknown): data is Thing {
  return typeof data === 'object' && data !== null && 'version' in data;
}
