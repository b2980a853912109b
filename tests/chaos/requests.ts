/** One request of a client, and whether its response alone violates the contract. */
import type { Call } from './history.ts';
import type { Random } from '@task-manager/testing/random';

/** The gateway, or a replica. */
export interface Target {
  name: string;
  url: string;
}

export interface RequestOptions {
  body?: object;
  key?: string | undefined;
  ifMatch?: number | undefined;
  /** The statuses that the contract has in this case, besides 412 for `ifMatch` and 503. */
  expected: number[];
}

export interface Result {
  call: Call;
  /** 0 without a response. */
  status: number;
  /** The body of a successful response. */
  data: unknown;
  /** Whether the request may have taken effect although no response says so. */
  unknown: boolean;
}

export interface Context {
  /** Clients give up early only under a fault: what they requested may take effect later. */
  hasFault: () => boolean;
  /** Called for every finished request, with what is wrong with its response. */
  report: (call: Call, status: number, violation?: string) => void;
}

/** Longer than any request may take, also at a replica that is paused for a while. */
const timeoutMs = 10_000;

export async function send(
  { hasFault, report }: Context,
  client: string,
  random: Random,
  target: Target,
  [method, path]: [method: string, path: string],
  { body, key, ifMatch, expected }: RequestOptions,
): Promise<Result> {
  const givesUp = random.chance(0.04) && hasFault();
  const signal = AbortSignal.timeout(givesUp ? random.integer(1, 400) : timeoutMs);
  const headers = {
    ...(body && { 'Content-Type': 'application/json' }),
    ...(key !== undefined && { 'Idempotency-Key': key }),
    ...(ifMatch !== undefined && { 'If-Match': `"${ifMatch}"` }),
  };
  const request = [
    method,
    path,
    body && JSON.stringify(body),
    key && `(key ${key})`,
    ifMatch && `(If-Match ${ifMatch})`,
  ];
  const call: Call = {
    ...{ client, target: target.name, request: request.filter(Boolean).join(' '), response: '' },
    ...{ startedAt: performance.now(), endedAt: 0 },
  };
  try {
    const response = await fetch(target.url + path, {
      method,
      headers,
      signal,
      body: body ? JSON.stringify(body) : null,
    });
    const text = await response.text();
    const { status, ok } = response;
    const data: unknown = ok && text ? JSON.parse(text) : undefined;
    call.endedAt = performance.now();
    const version = (data as { version?: number } | undefined)?.version;
    call.response = `${status}${version === undefined ? '' : ` version ${version}`}`;
    report(call, status, violationOf(response, text, [...expected, ...(ifMatch === undefined ? [] : [412])]));
    return { call, status, data, unknown: status >= 500 };
  } catch (error) {
    call.endedAt = performance.now();
    const reason = (error as { cause?: { code?: string } }).cause?.code ?? String(error);
    call.response = signal.aborted ? 'the client gave up' : `no response (${reason})`;
    if (!signal.aborted) report(call, 0);
    else if (!givesUp) report(call, 0, `no response within ${timeoutMs / 1000} s`);
    return { call, status: 0, data: undefined, unknown: true };
  }
}

/** 503 needs `Retry-After` and a problem body; 502 of the gateway says that it lost the replica. */
function violationOf({ status, headers }: Response, text: string, expected: number[]): string | undefined {
  if (expected.includes(status) || status === 502) return undefined;
  if (status !== 503) return `unexpected status ${status}: ${text}`;
  if (!headers.has('Retry-After')) return '503 without Retry-After';
  return /"status":\s*503/.test(text) ? undefined : '503 without a problem body';
}

/** Reads a list to its end. Throws when a page is rejected. */
export async function readAll<Item>(url: string, query: Record<string, string>): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Item> = await readPage(url, { ...query, ...(cursor !== null && { cursor }) });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return items;
}

export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

export async function readPage<Item>(url: string, query: Record<string, string>): Promise<Page<Item>> {
  const response = await fetch(`${url}?${new URLSearchParams(query).toString()}`);
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(`GET ${response.url} returned ${response.status}: ${JSON.stringify(body)}`);
  return body as Page<Item>;
}
