/** A chaos run: rounds of clients under faults, each followed by a consistency check. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@task-manager/testing/until';
import { check, type FinalState, type Violation } from './check.ts';
import { Client, type World } from './clients.ts';
import { FaultInjector, faultName, type InjectedFault } from './fault-injector.ts';
import { faults, type Kind } from '@task-manager/testing/faults';
import { Follower } from './followers.ts';
import { describeCall, describeTime, History, tasks, users, type Call, type Entity, type Event } from './history.ts';
import type { Random } from '@task-manager/testing/random';
import { readAll, readPage, type Target } from './requests.ts';
import type { SystemUnderTest } from '@task-manager/testing/system-under-test';

const clientCount = 8;
const faultsMs = 6000;
/** Longer than a request may wait for the database: no request of a fault takes effect after it. */
const quietMs = 2500;
/** For what happens in the background: tasks lose deleted assignees, followers receive events. */
const settleTimeoutMs = 10_000;

export interface Findings {
  rounds: number;
  /** Requests that succeeded, that a rule of the contract rejected, and those of unknown outcome. */
  acknowledged: number;
  rejected: number;
  unknown: number;
  /** The slowest response while every fault was one of the database or its network. */
  slowestInDatabaseFaultMs: number;
  /** `recoveryMs` is undefined when every fault of this kind overlapped with another. */
  faults: Partial<Record<Kind, { count: number; slowestMs: number; recoveryMs: number | undefined }>>;
  violations: Violation[];
}

export class Run {
  readonly findings: Findings = {
    ...{ rounds: 0, acknowledged: 0, rejected: 0, unknown: 0, slowestInDatabaseFaultMs: 0, faults: {}, violations: [] },
  };
  readonly #system: SystemUnderTest;
  readonly #random: Random;
  readonly #signal: AbortSignal;
  readonly #injector: FaultInjector;
  readonly #world: World;
  readonly #clients: Client[];
  readonly #followers: { history: History; follower: Follower }[] = [];
  readonly #following: Promise<void>[] = [];
  #calls: { call: Call; status: number }[] = [];

  constructor(system: SystemUnderTest, random: Random, signal: AbortSignal) {
    this.#system = system;
    this.#random = random.fork();
    this.#signal = signal;
    this.#injector = new FaultInjector(system, random.fork());
    this.#world = {
      ...{ tasks: new History(tasks), users: new History(users), targets: new Map() },
      hasFault: () => this.#injector.active.length > 0,
      report: (call, status, violation) => {
        this.#calls.push({ call, status });
        if (violation !== undefined) this.#violate(violation, [describeCall(call)]);
      },
    };
    for (const [history, service] of [
      [this.#world.tasks, 'task-service'],
      [this.#world.users, 'user-service'],
    ] as const) {
      const replicas: Target[] = system.replicasOf(service);
      const gateway = { name: 'gateway', url: system.url };
      // The gateway is as likely as all replicas together.
      this.#world.targets.set(history, [...replicas, ...replicas.map(() => gateway)]);
      const feeds = [gateway, ...replicas].map(({ url }) => `${url}${history.resource.path}/feed`);
      for (const transport of ['polling', 'streaming'] as const) {
        const follower = new Follower(transport, feeds, random.fork());
        this.#followers.push({ history, follower });
        this.#following.push(follower.follow(signal));
      }
    }
    this.#clients = Array.from({ length: clientCount }, (_, index) => {
      return new Client(index + 1, this.#world, random.fork());
    });
  }

  /** Resolves with the faults that were injected. */
  async round(): Promise<InjectedFault[]> {
    const injected: InjectedFault[] = [];
    this.#calls = [];
    const over = new AbortController();
    const working = this.#clients.map((client) => client.work(over.signal));
    try {
      const endsAt = performance.now() + faultsMs;
      while (performance.now() < endsAt) injected.push(...(await this.#injector.inject(this.#signal)));
      await sleep(quietMs, undefined, { signal: this.#signal });
    } finally {
      over.abort();
      await Promise.all(working);
    }
    this.#measure(injected);
    this.#checkResponses(injected);
    await this.#checkConsistency();
    this.findings.rounds += 1;
    return injected;
  }

  /** Resolves when the followers have ended, after the signal. */
  async close(): Promise<void> {
    await Promise.all(this.#following);
  }

  #violate(what: string, details: string[] = []): void {
    this.findings.violations.push({ what, details });
  }

  #measure(injected: InjectedFault[]): void {
    const { findings } = this;
    const figuresOf = (kind: Kind) => (findings.faults[kind] ??= { count: 0, slowestMs: 0, recoveryMs: undefined });
    for (const { call, status } of this.#calls) {
      findings[status === 0 || status >= 500 ? 'unknown' : status < 300 ? 'acknowledged' : 'rejected'] += 1;
      const concurrent = injected.filter((fault) => overlap(call, fault));
      const durationMs = call.endedAt - call.startedAt;
      if (concurrent.length > 0 && concurrent.every(({ kind }) => faults[kind].cause !== 'process')) {
        findings.slowestInDatabaseFaultMs = Math.max(findings.slowestInDatabaseFaultMs, durationMs);
      }
      for (const { kind } of concurrent) {
        figuresOf(kind).slowestMs = Math.max(figuresOf(kind).slowestMs, durationMs);
      }
    }
    for (const { kind, recoveryMs } of injected) {
      const figures = figuresOf(kind);
      figures.count += 1;
      if (recoveryMs !== undefined) figures.recoveryMs = Math.max(figures.recoveryMs ?? 0, recoveryMs);
    }
  }

  /** Without a concurrent fault that explains it, no request may fail. */
  #checkResponses(injected: InjectedFault[]): void {
    const timeline = injected.map((fault) => `${describeTime(fault.startedAt, fault.endedAt)}  ${faultName(fault)}`);
    for (const { call, status } of this.#calls) {
      const concurrent = injected.filter((fault) => overlap(call, fault));
      // The gateway retries what a terminated replica rejects, and returns 502 when one was killed.
      const isExplained = ({ kind, replica }: InjectedFault) =>
        (kind === 'replica killed' && ['gateway', replica].includes(call.target)) ||
        (kind === 'replica terminated' && call.target === replica);
      const isAllowed = status === 503 ? concurrent.length > 0 : concurrent.some(isExplained);
      if ((status === 0 || status >= 500) && !isAllowed) {
        this.#violate('a request failed without a fault', [describeCall(call), ...timeline]);
      }
    }
  }

  async #checkConsistency(): Promise<void> {
    const { tasks, users } = this.#world;
    await this.#untilUsersFollowed();
    const finalUsers = await this.#finalState(users, { limit: '10' });
    const finalTasks = await this.#finalState(tasks, { sort: '-createdAt', limit: '50' });
    const deleted = deletedUsers(users, finalUsers.entities);
    this.findings.violations.push(...check(users, finalUsers), ...check(tasks, finalTasks, deleted));
    for (const incident of this.#system.incidents.splice(0)) this.#violate(incident);
    for (const { id, assigneeId } of finalTasks.entities) {
      const user = String(assigneeId);
      if (deleted.has(user)) this.#violate(`${id} is still assigned to ${user}, a deleted user`);
    }
    await this.#checkOrders(finalTasks.entities);
    for (const [history, end] of [
      [users, finalUsers],
      [tasks, finalTasks],
    ] as const) {
      await this.#checkFollowers(history, end.events);
      history.restart(end.entities, end.events.at(-1)?.id ?? history.startCursor);
    }
  }

  /** Waits until the task service has received every event of the user service. */
  async #untilUsersFollowed(): Promise<void> {
    const isFollowed = async () => {
      const query = 'select cursor from task_service.followed';
      const [followed] = await this.#system.query<{ cursor: string | null }>(query);
      return followed?.cursor === (await this.#latestEvent(users.schema));
    };
    await this.#settle(isFollowed, 'the task service has followed the users');
  }

  async #latestEvent(schema: string): Promise<string | null> {
    const [latest] = await this.#system.query<{ id: string }>(
      `select transaction_id || '-' || position as id from ${schema}.events
       order by transaction_id desc, position desc limit 1`,
    );
    return latest?.id ?? null;
  }

  /** The list of every target, which must be the same, and the feed since the start of the history. */
  async #finalState(history: History, query: Record<string, string>): Promise<FinalState> {
    const { path, schema } = history.resource;
    const targets = this.#world.targets.get(history) ?? [];
    const latest = await this.#latestEvent(schema);
    const events: Event[] = [];
    const readOn = async () => {
      const after = events.at(-1)?.id ?? history.startCursor;
      const feedQuery = { limit: '100', ...(after !== null && { cursor: after }) };
      events.push(...(await readPage<Event>(`${this.#random.pick(targets).url}${path}/feed`, feedQuery)).items);
      return latest === (events.at(-1)?.id ?? history.startCursor);
    };
    await this.#settle(readOn, `the feed of ${schema} has its latest event`);
    const lists = await Promise.all(targets.map(({ url }) => readAll<Entity>(url + path, query)));
    const [entities = []] = lists;
    if (new Set(lists.map((list) => JSON.stringify(list))).size > 1) this.#violate('replicas return different lists');
    if (new Set(entities.map(({ id }) => id)).size < entities.length) this.#violate('a list has an item twice');
    return { entities, events };
  }

  /** The list has the same tasks in every order. */
  async #checkOrders(entities: Entity[]): Promise<void> {
    const targets = this.#world.targets.get(this.#world.tasks) ?? [];
    for (const sort of ['createdAt', '-createdAt', 'dueDate', '-dueDate', '-updatedAt', 'priority']) {
      const listed = await readAll<Entity>(`${this.#random.pick(targets).url}${tasks.path}`, { sort, limit: '50' });
      const expected = sorted(entities, sort);
      if (JSON.stringify(listed) === JSON.stringify(expected)) continue;
      this.#violate(`the list is wrong when sorted by ${sort}`, [
        `found:    ${listed.map(({ id }) => id).join(' ')}`,
        `expected: ${expected.map(({ id }) => id).join(' ')}`,
      ]);
    }
  }

  /** A follower has received the same events, in the same order, as a client that reads the feed afterwards. */
  async #checkFollowers(history: History, events: Event[]): Promise<void> {
    const expected = events.map(({ id }) => id);
    for (const { follower } of this.#followers.filter((each) => each.history === history)) {
      const latest = expected.at(-1) ?? history.startCursor;
      await this.#settle(() => follower.cursor === latest, `the ${follower.transport} follower has every event`);
      const { ids } = follower;
      if (ids.join() !== expected.join()) {
        this.#violate(`the ${follower.transport} follower received other events than the feed has now`, [
          `missing: ${expected.filter((id) => !ids.includes(id)).join(' ')}`,
          `extra: ${ids.filter((id, index) => !expected.includes(id) || ids.indexOf(id) < index).join(' ')}`,
        ]);
      }
      follower.ids = [];
    }
  }

  async #settle(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    await until(condition, { what, signal: this.#signal, timeoutMs: settleTimeoutMs });
  }
}

/** Users that existed once and do not exist now, with the earliest time of their deletion. */
function deletedUsers({ start, stories, deletedBefore }: History, entities: Entity[]): Map<string, number> {
  const deleted = new Map([...deletedBefore].map((id) => [id, -Infinity]));
  for (const id of new Set([...start.keys(), ...stories.keys()])) {
    const deletions = stories.get(id)?.deletions ?? [];
    if (!deleted.has(id)) deleted.set(id, Math.min(...deletions.map(({ call }) => call.startedAt)));
  }
  for (const { id } of entities) deleted.delete(id);
  return deleted;
}

function overlap(call: Call, fault: InjectedFault): boolean {
  return call.startedAt <= fault.endedAt && call.endedAt >= fault.startedAt;
}

/** As the contract says: tasks without a due date last, equal ones by id, and the highest priority first. */
function sorted(entities: Entity[], sort: string): Entity[] {
  const sign = sort.startsWith('-') || sort === 'priority' ? -1 : 1;
  const field = sort.replace('-', '').replace('createdAt', 'id');
  const keyOf = (entity: Entity) => {
    const value = entity[field] as string | null;
    return field === 'priority' ? ['low', 'normal', 'high'].indexOf(value ?? '') : value;
  };
  return entities.toSorted((one, other) => {
    const [a, b] = [keyOf(one), keyOf(other)];
    if (a !== b && (a === null || b === null)) return a === null ? 1 : -1;
    if (a !== b && a !== null && b !== null) return a < b ? -sign : sign;
    return one.id < other.id ? -sign : sign;
  });
}
