/** Plays the loads that `bench.ts` sends, as a process of its own: it must not slow down the servers that it measures. */
import { once } from 'node:events';
import { Load, type Request as AnyRequest, type Response } from '@task-manager/testing/load';
import { formatRequest } from '@task-manager/testing/raw-http';
import { quantile } from '@task-manager/testing/statistics';

export const loadNames = ['POST', 'list', 'get', 'PATCH', 'mixed'] as const;
/** The loads of the services, and those of the floors, which have no database. */
export type LoadName = (typeof loadNames)[number] | 'echo' | 'page' | 'health';

/** One sample: a closed loop of so many connections. */
export interface Job {
  port: number;
  load: LoadName;
  connections: number;
  seconds: number;
  /** The same seed requests the same tasks in the same order. */
  seed: number;
  /** The second word in the title of every new task: its row shows which server created it. */
  tag: string;
}

export interface Outcome {
  /** Answered within the time. */
  requests: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** Answered at all: pending responses are awaited when the time is over. */
  answered: number;
  /** Acknowledged writes. */
  created: number;
  changed: number;
  /** Every 64th task that was created, as in the response. */
  kept: { id: string; title: string }[];
  /** Unexpected responses, by kind. */
  errors: Record<string, number>;
}

/** The ids of existing tasks, then one job after the other. */
export type Message = { ids: string[] } | { job: Job } | 'go';

/** How long pending responses are awaited. */
const graceMs = 10_000;

let ids: string[] = [];

// Only in the process that `bench.ts` forks: it also imports this file, for the types and names.
if (process.send) {
  process.on('message', (message: Message) => {
    if (message === 'go') return;
    if ('ids' in message) ids = message.ids;
    else void play(message.job).then((outcome) => process.send?.(outcome));
  });
}

interface Request extends AnyRequest {
  status: number;
  /** A part of the body that only the response to this request has; or empty. */
  proof: string;
  writes?: 'created' | 'changed';
}

/** Connects, reports it, waits for `go`, and plays. */
async function play(job: Job): Promise<Outcome> {
  const nextRequest = requestsOf(job);
  const timesMs: number[] = [];
  const counts = { answered: 0, created: 0, changed: 0 };
  const kept: Outcome['kept'] = [];
  const errors: Record<string, number> = {};
  const fail = (kind: string) => (errors[kind] = (errors[kind] ?? 0) + 1);
  let endsAt = 0;
  const onResponse = (request: Request, { status, head, body, startedAt, endedAt }: Response) => {
    if (status === 0) {
      fail(head);
      return;
    }
    if (endedAt <= endsAt) timesMs.push(endedAt - startedAt);
    counts.answered++;
    if (status !== request.status) {
      fail(`status ${status}`);
      return;
    }
    if (request.writes) counts[request.writes]++;
    if (request.proof && !body.includes(request.proof, 0, 'latin1')) fail('the response to another request');
    else if (request.writes === 'created' && counts.created % 64 === 0) {
      const { id, title } = JSON.parse(body.toString()) as { id: string; title: string };
      kept.push({ id, title });
    }
  };
  const next = () => (performance.now() < endsAt ? nextRequest() : undefined);
  const load = new Load<Request>({ port: job.port, connections: job.connections, next, onResponse });
  await load.connect();
  const go = once(process, 'message');
  process.send?.('connected');
  await go;
  endsAt = performance.now() + job.seconds * 1000;
  load.start();
  await new Promise((resolve) => setTimeout(resolve, job.seconds * 1000));
  await load.stop(graceMs);
  const [p50Ms, p99Ms] = [quantile(timesMs, 0.5), quantile(timesMs, 0.99)];
  return { requests: timesMs.length, seconds: job.seconds, p50Ms, p99Ms, ...counts, kept, errors };
}

const description = 'Something that has to be done before the end of the week.';

/** Returns the requests of a load, one per call. */
function requestsOf({ load, seed, tag }: Job): () => Request {
  const random = randomFrom(seed);
  const someId = () => ids[Math.floor(random() * ids.length)] ?? '';
  let number = 0;
  const post = (): Request => {
    const title = `bench ${tag} ${seed} ${++number}`;
    return {
      bytes: write('POST', '/tasks', { title, description }),
      status: 201,
      proof: `"${title}"`,
      writes: 'created',
    };
  };
  const patch = (): Request => {
    const id = someId();
    const status = ['todo', 'in-progress', 'done'][++number % 3];
    const changes = number % 4 === 0 ? { title: `Changed ${number} times` } : { status };
    return { bytes: write('PATCH', `/tasks/${id}`, changes), status: 200, proof: id, writes: 'changed' };
  };
  const get = (): Request => {
    const id = someId();
    return { bytes: formatRequest('GET', `/tasks/${id}`), status: 200, proof: id };
  };
  const constant = (path: string) => {
    const request: Request = { bytes: formatRequest('GET', path), status: 200, proof: '' };
    return () => request;
  };
  const list = constant('/tasks');
  const mixed = () => {
    const share = random();
    if (share < 0.7) return get();
    if (share < 0.9) return list();
    return share < 0.95 ? post() : patch();
  };
  const echo = (): Request => {
    const { bytes, status, proof } = post();
    return { bytes, status, proof };
  };
  return { POST: post, list, get, PATCH: patch, mixed, echo, page: constant('/page'), health: constant('/health') }[
    load
  ];
}

function write(method: string, path: string, body: object): string {
  return formatRequest(method, path, { 'Content-Type': 'application/json' }, JSON.stringify(body));
}

/** Reproducible numbers from 0 to 1: mulberry32, https://gist.github.com/tommyettinger/46a874533244883189143505d203312c. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
