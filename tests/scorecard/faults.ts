/** Faults of the database, of its network and of a replica, while clients create tasks and read lists. */
import { randomUUID } from 'node:crypto';
import { Load, type Request, type Response } from '@task-manager/testing/load';
import { formatRequest } from '@task-manager/testing/raw-http';
import { until } from '@task-manager/testing/until';
import { faults, type Kind } from '@task-manager/testing/faults';
import { Random } from '@task-manager/testing/random';
import type { Replica, SystemUnderTest } from '@task-manager/testing/system-under-test';
import { countOf, type Figure } from './figures.ts';

const kinds: Kind[] = [
  ...([
    'connections silent',
    'connections refused',
    'connections reset',
    'connections slow',
    'responses lost',
  ] as const),
  ...(['table locked', 'PostgreSQL sessions ended', 'PostgreSQL backend killed', 'replica killed'] as const),
  ...(['PostgreSQL stopped', 'PostgreSQL killed'] as const),
];
const durationMs = 3000;

export async function measureFaults(
  system: SystemUnderTest,
  signal: AbortSignal,
  print: (line: string) => void,
): Promise<Figure[]> {
  const replicas = system.replicasOf('task-service');
  const traffic = new Traffic(replicas);
  const random = new Random(1);
  let recoveryMs = 0;
  for (const kind of kinds) {
    print(`Fault: ${kind} …`);
    traffic.fault = kind;
    const targets = kind === 'replica killed' ? replicas.slice(0, 1) : replicas;
    const scope = { durationMs, latencyMs: 300, table: 'task_service.tasks' };
    const injecting = faults[kind].inject({ system, random, replicas: targets, ...scope });
    if (kind === 'PostgreSQL stopped' || kind === 'PostgreSQL killed') {
      recoveryMs = Math.max(recoveryMs, await measureRecovery(system, replicas));
    }
    await injecting;
    await system.recover(signal);
  }
  await traffic.stop();
  const { acknowledged, wrong, slowestMs, slowestIn } = traffic;
  const { lost, duplicated } = await compare(system, acknowledged);
  return [
    { name: `${acknowledged.length} tasks acknowledged under ${kinds.length} faults: lost`, measured: lost, max: 0 },
    { name: 'stored twice', measured: duplicated, max: 0 },
    countOf('responses other than success or 503 with Retry-After', wrong),
    { name: 'Slowest response under a fault', measured: slowestMs / 1000, max: 2, unit: 's', details: [slowestIn] },
    { name: 'First success after PostgreSQL accepts connections', measured: recoveryMs, max: 100, unit: 'ms' },
  ];
}

interface TrafficRequest extends Request {
  /** Undefined for a read. */
  title?: string;
  fault: string;
}

/** A steady load on each replica. A write that is not acknowledged is retried with the same idempotency key. */
class Traffic {
  fault = '';
  readonly acknowledged: string[] = [];
  readonly wrong: string[] = [];
  slowestMs = 0;
  slowestIn = '';
  readonly #retries: TrafficRequest[] = [];
  readonly #loads: Load<TrafficRequest>[];
  #isStopping = false;
  #count = 0;
  #pendingWrites = 0;

  constructor(replicas: Replica[]) {
    this.#loads = replicas.map(({ port }) => {
      const onResponse = (request: TrafficRequest, response: Response) => {
        this.#record(request, response);
      };
      return new Load({ port, rate: 100, connections: 500, next: () => this.#next(), onResponse });
    });
    for (const load of this.#loads) load.start();
  }

  /** Goes on until every write is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await until(() => this.#pendingWrites === 0, { what: 'every write is acknowledged' });
    await Promise.all(this.#loads.map((load) => load.stop(5000)));
  }

  #next(): TrafficRequest {
    const { fault } = this;
    const isRead = this.#isStopping || this.#count++ % 2 === 0;
    const retry = this.#retries.shift();
    if (retry) return { ...retry, fault };
    if (isRead) return { bytes: formatRequest('GET', '/tasks?limit=5'), fault };
    this.#pendingWrites++;
    const title = `scorecard ${randomUUID()}`;
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID() };
    return { bytes: formatRequest('POST', '/tasks', headers, JSON.stringify({ title })), title, fault };
  }

  #record(request: TrafficRequest, { status, head, startedAt, endedAt }: Response): void {
    const { title, fault } = request;
    const timeMs = endedAt - startedAt;
    if (timeMs > this.slowestMs) [this.slowestMs, this.slowestIn] = [timeMs, fault];
    const isProblem = /\r\ncontent-type: application\/problem\+json/i.test(head);
    // 409: the first attempt is still in progress. 0: the replica was killed.
    const isRejected = status === 409 || (status === 503 && /\r\nretry-after: /i.test(head));
    if (status !== 0 && status >= 300 && !(isProblem && isRejected)) this.wrong.push(`${status} under ${fault}`);
    if (title === undefined) return;
    if (status !== 201) this.#retries.push(request);
    else {
      this.acknowledged.push(title);
      this.#pendingWrites--;
    }
  }
}

/** From when PostgreSQL accepts connections again until every replica has stored a task. */
async function measureRecovery(system: SystemUnderTest, replicas: Replica[]): Promise<number> {
  const accepts = () => system.query('select').then(Boolean, () => false);
  await until(async () => !(await accepts()));
  await until(accepts, { intervalMs: 5 });
  const acceptedAt = performance.now();
  const storing = replicas.map(({ url }) => {
    const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"title":"recovered"}' };
    const isStored = async () => {
      const response = await fetch(`${url}/tasks`, init);
      await response.arrayBuffer();
      return response.status === 201;
    };
    return until(isStored, { intervalMs: 5 });
  });
  await Promise.all(storing);
  return performance.now() - acceptedAt;
}

async function compare(system: SystemUnderTest, acknowledged: string[]): Promise<{ lost: number; duplicated: number }> {
  const rows = await system.query<{ title: string; count: number }>(
    `select title, count(*)::int as count from task_service.tasks where title like 'scorecard %' group by title`,
  );
  const stored = new Set(rows.map(({ title }) => title));
  return {
    lost: acknowledged.filter((title) => !stored.has(title)).length,
    duplicated: rows.filter(({ count }) => count > 1).length,
  };
}
