/** A run of chaos: rounds of faults, of quiet and of reckoning. */
import { setTimeout as sleep } from 'node:timers/promises';
import { placeAt, type Place } from './requests.ts';
import { check, line, span, tasks, users, type Event, type Violation } from './check.ts';
import { Client, type World } from './clients.ts';
import { causeOf, Disturber, nameOf, type Fault, type Kind } from './faults.ts';
import { Follower } from './followers.ts';
import { History, type Call, type Thing } from './history.ts';
import type { Random } from './random.ts';
import { until, type Stage } from './system-under-test.ts';

const clientsMax = 8;
const struckMs = 6000;
/** Longer than a request may wait for the database: what was asked in a fault has happened by its end, or never will. */
const quietMs = 2500;
/** For what must come about by itself: tasks taken from users who were deleted, events at those who follow. */
const settleTimeoutMs = 10_000;

/** What a run has found and measured. Times are in milliseconds. */
export interface Findings {
  rounds: number;
  /** Requests that were answered well, refused by a rule of the contract, and those of which nobody knows. */
  acknowledged: number;
  refused: number;
  unknown: number;
  /** Of requests on their way while only the database or its connections were struck, the slowest answer. */
  slowestInDatabaseFaultMs: number;
  faults: Partial<Record<Kind, Figures>>;
  violations: Violation[];
}

interface Figures {
  times: number;
  slowestMs: number;
  /** Undefined when each came with another. */
  recoveryMs: number | undefined;
}

export class Run {
  readonly findings: Findings = {
    ...{ rounds: 0, acknowledged: 0, refused: 0, unknown: 0, slowestInDatabaseFaultMs: 0, faults: {}, violations: [] },
  };
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #stopped: AbortSignal;
  readonly #disturber: Disturber;
  readonly #world: World;
  readonly #clients: Client[];
  readonly #followers: { of: History; follower: Follower }[];
  readonly #following: Promise<void>[] = [];
  #calls: { call: Call; status: number | undefined }[] = [];
  #faults: Fault[] = [];

  constructor(stage: Stage, random: Random, stopped: AbortSignal) {
    this.#stage = stage;
    this.#random = random.fork();
    this.#stopped = stopped;
    this.#disturber = new Disturber(stage, random.fork());
    this.#world = {
      tasks: new History(),
      users: new History(),
      taskPlaces: placesOf(stage, 'task-service'),
      userPlaces: placesOf(stage, 'user-service'),
      now: () => stage.now(),
      isDisturbed: () => this.#disturber.current.length > 0,
      report: (call, status, wrong) => {
        this.#calls.push({ call, status });
        if (wrong !== undefined) this.#violate(wrong, [line(call)]);
      },
    };
    this.#clients = Array.from({ length: clientsMax }, (_, index) => new Client(index + 1, this.#world, random.fork()));
    const feeds = [
      { of: this.#world.tasks, path: '/tasks/feed', service: 'task-service' },
      { of: this.#world.users, path: '/user/users/feed', service: 'user-service' },
    ];
    this.#followers = feeds.flatMap(({ of, path, service }) => {
      const urls = [stage.url, ...replicasOf(stage, service).map(({ url }) => url)].map((url) => url + path);
      return ['polls', 'listens'].map((how) => ({ of, follower: new Follower(how, urls, random.fork()) }));
    });
    for (const { follower } of this.#followers) {
      this.#following.push(follower.name === 'polls' ? follower.poll(stopped) : follower.listen(stopped));
    }
  }

  /** Strikes for a while, waits until all is well, and reckons. Resolves with what was struck. */
  async round(): Promise<Fault[]> {
    const over = new AbortController();
    const working = this.#clients.map((client) => client.work(over.signal));
    try {
      const struckUntil = this.#stage.now() + struckMs;
      while (this.#stage.now() < struckUntil) this.#faults.push(...(await this.#disturber.strike(this.#stopped)));
      await sleep(quietMs, undefined, { signal: this.#stopped });
    } finally {
      over.abort();
      await Promise.all(working);
    }
    await this.#reckon();
    const struck = this.#faults;
    this.#faults = [];
    this.#calls = [];
    this.findings.rounds += 1;
    return struck;
  }

  /** Resolves when nobody follows any more, which is soon after the run was stopped. */
  async close(): Promise<void> {
    await Promise.all(this.#following);
  }

  #violate(what: string, history: string[] = []): void {
    this.findings.violations.push({ what, history });
  }

  async #reckon(): Promise<void> {
    this.#count();
    const struck = this.#faults.map((fault) => `${span(fault.began, fault.over)}  ${nameOf(fault)}`);
    for (const { call, status } of this.#calls) {
      if (!this.#isExcused(call, status)) this.#violate('a good answer was due', [line(call), ...struck]);
    }
    const { tasks: ofTasks, users: ofUsers } = this.#world;
    await this.#untilFollowed();
    const endOfUsers = await this.#end(ofUsers, 'user_service', this.#world.userPlaces, listUsers, readUserFeed);
    const endOfTasks = await this.#end(ofTasks, 'task_service', this.#world.taskPlaces, listTasks, readTaskFeed);
    const removed = removedUsers(ofUsers, endOfUsers.things);
    this.findings.violations.push(
      ...check(users, ofUsers, endOfUsers),
      ...check(tasks, ofTasks, endOfTasks, removed),
      ...this.#stage.troubles.splice(0).map((what) => ({ what, history: [] })),
    );
    for (const { id, assigneeId } of endOfTasks.things) {
      if (removed.has(String(assigneeId)))
        this.#violate(`${id} is still given to ${String(assigneeId)}, who was deleted`);
    }
    await this.#orders(endOfTasks.things);
    for (const [history, end] of [
      [ofUsers, endOfUsers],
      [ofTasks, endOfTasks],
    ] as const) {
      await this.#compareFollowers(history, end.events);
      history.beginAgain(end.things, end.events.at(-1)?.id ?? history.startCursor);
    }
  }

  #count(): void {
    for (const { call, status } of this.#calls) {
      const kind = status === undefined || status >= 500 ? 'unknown' : status < 300 ? 'acknowledged' : 'refused';
      this.findings[kind] += 1;
      const meanwhile = this.#faults.filter((fault) => overlap(call, fault));
      const durationMs = call.ended - call.began;
      if (meanwhile.length > 0 && meanwhile.every((fault) => causeOf(fault.kind) !== 'process')) {
        this.findings.slowestInDatabaseFaultMs = Math.max(this.findings.slowestInDatabaseFaultMs, durationMs);
      }
      for (const fault of meanwhile)
        this.#of(fault.kind).slowestMs = Math.max(this.#of(fault.kind).slowestMs, durationMs);
    }
    for (const { kind, recovery } of this.#faults) {
      const figures = this.#of(kind);
      figures.times += 1;
      if (recovery !== undefined) figures.recoveryMs = Math.max(figures.recoveryMs ?? 0, recovery);
    }
  }

  #of(kind: Kind): Figures {
    return (this.findings.faults[kind] ??= { times: 0, slowestMs: 0, recoveryMs: undefined });
  }

  /** Whether something was struck meanwhile that explains why there was no better answer. */
  #isExcused(call: Call, status: number | undefined): boolean {
    if (status !== undefined && status < 500) return true;
    const meanwhile = this.#faults.filter((fault) => overlap(call, fault));
    if (status === 503) return meanwhile.length > 0;
    // No answer, and 502 of the gateway for want of one.
    const fatal = meanwhile.filter(({ kind }) => kind === 'SIGKILL of a replica' || kind === 'SIGTERM of a replica');
    return fatal.some(({ kind, replica }) =>
      call.where === 'gateway' ? kind === 'SIGKILL of a replica' : call.where === replica,
    );
  }

  /** Until the task service has heard of everything that happened to users. */
  async #untilFollowed(): Promise<void> {
    const isFollowed = async () => {
      const [latest, [followed]] = await Promise.all([
        this.#latest('user_service'),
        this.#stage.query<{ cursor: string | null }>('select cursor from task_service.followed'),
      ]);
      return followed?.cursor === latest;
    };
    await until(isFollowed, 'the task service has followed the users', this.#stopped, settleTimeoutMs);
  }

  async #latest(schema: string): Promise<string | null> {
    const [latest] = await this.#stage.query<{ id: string }>(
      `select transaction_id || '-' || position as id from ${schema}.events
       order by transaction_id desc, position desc limit 1`,
    );
    return latest?.id ?? null;
  }

  /** What there is in the end, as any replica tells it: each list to its end, and the feed since the last end. */
  async #end(history: History, schema: string, places: Place[], list: List, readFeed: ReadFeed) {
    const latest = await this.#latest(schema);
    const events: Event[] = [];
    const readOn = async () => {
      const after = events.at(-1)?.id ?? history.startCursor;
      events.push(...(await readFeed(this.#random.pick(places), after)));
      return latest === (events.at(-1)?.id ?? history.startCursor);
    };
    await until(readOn, `the feed of ${schema} tells its newest event`, this.#stopped, settleTimeoutMs);
    const lists = await Promise.all(places.map((place) => list(place)));
    const [things = []] = lists;
    if (new Set(lists.map((each) => JSON.stringify(each))).size > 1)
      this.#violate('replicas answer with different lists');
    if (new Set(things.map(({ id }) => id)).size < things.length) this.#violate('a list has something twice');
    return { things, events };
  }

  /** The list holds the same in every order. */
  async #orders(things: Thing[]): Promise<void> {
    for (const [sort, keyOf] of Object.entries(orders)) {
      const listed = await listTasks(this.#random.pick(this.#world.taskPlaces), sort as keyof typeof orders);
      const expected = sortBy(things, sort, keyOf);
      if (JSON.stringify(listed) !== JSON.stringify(expected)) {
        this.#violate(`sorted by ${sort} the list is not what it should be`, [
          `is:        ${listed.map(({ id }) => id).join(' ')}`,
          `should be: ${expected.map(({ id }) => id).join(' ')}`,
        ]);
      }
    }
  }

  /** Whoever followed has heard the same as whoever reads it all afterwards. */
  async #compareFollowers(history: History, events: Event[]): Promise<void> {
    const latest = events.at(-1)?.id ?? history.startCursor;
    for (const { follower } of this.#followers.filter(({ of }) => of === history)) {
      const what = `who ${follower.name} has heard of everything`;
      await until(() => follower.cursor === latest, what, this.#stopped, settleTimeoutMs);
      const told = events.map(({ id }) => id);
      if (follower.heard.join() !== told.join()) {
        this.#violate(`who ${follower.name} has heard something else than the feed tells now`, [
          `left out: ${told.filter((id) => !follower.heard.includes(id)).join(' ')}`,
          `more: ${follower.heard.filter((id, index) => !told.includes(id) || follower.heard.indexOf(id) < index).join(' ')}`,
        ]);
      }
      follower.forget();
    }
  }
}

/** Who was a user once, and since when it may be that they are no more. */
function removedUsers({ start, stories, goneBefore }: History, things: Thing[]): Map<string, number> {
  const removed = new Map<string, number>();
  for (const id of goneBefore) removed.set(id, -Infinity);
  for (const id of new Set([...start.keys(), ...stories.keys()])) {
    const removals = stories.get(id)?.removals ?? [];
    if (!removed.has(id)) removed.set(id, Math.min(...removals.map(({ call }) => call.began)));
  }
  for (const { id } of things) removed.delete(id);
  return removed;
}

function overlap(call: Pick<Call, 'began' | 'ended'>, fault: Fault): boolean {
  return call.began <= fault.over && call.ended >= fault.began;
}

function replicasOf({ replicas }: Stage, service: string) {
  return replicas.filter((replica) => replica.service === service);
}

/** The gateway as often as all replicas together. */
function placesOf(stage: Stage, service: string): Place[] {
  const own = replicasOf(stage, service).map(({ name, url }) => placeAt(name, url));
  return [...own, ...own.map(() => placeAt('gateway', stage.url))];
}

type List = (place: Place) => Promise<Thing[]>;
type ReadFeed = (place: Place, after: string | null) => Promise<Event[]>;

const orders = {
  createdAt: ({ id }: Thing) => id,
  '-createdAt': ({ id }: Thing) => id,
  dueDate: ({ dueDate }: Thing) => dueDate as string | null,
  '-dueDate': ({ dueDate }: Thing) => dueDate as string | null,
  '-updatedAt': ({ updatedAt }: Thing) => updatedAt as string,
  priority: ({ priority }: Thing) => ['low', 'normal', 'high'].indexOf(priority as string),
};

/** As the contract says it: without a due date last, and what is equal by id. */
function sortBy(things: Thing[], sort: string, keyOf: (thing: Thing) => string | number | null): Thing[] {
  const sign = sort.startsWith('-') || sort === 'priority' ? -1 : 1;
  return [...things].sort((one, other) => {
    const [a, b] = [keyOf(one), keyOf(other)];
    if (a !== b && (a === null || b === null)) return a === null ? 1 : -1;
    if (a !== b && a !== null && b !== null) return a < b ? -sign : sign;
    return one.id < other.id ? -sign : sign;
  });
}

async function listTasks({ api }: Place, sort: keyof typeof orders = '-createdAt'): Promise<Thing[]> {
  return await readAll((cursor) => api.GET('/tasks', { params: { query: { sort, limit: 50, ...cursor } } }));
}

async function listUsers({ api }: Place): Promise<Thing[]> {
  return await readAll((cursor) => api.GET('/user/users', { params: { query: { limit: 10, ...cursor } } }));
}

async function readTaskFeed({ api }: Place, after: string | null): Promise<Event[]> {
  const query = { limit: 100, ...(after !== null && { cursor: after }) };
  const { data } = await api.GET('/tasks/feed', { params: { query } });
  return data?.items ?? [];
}

async function readUserFeed({ api }: Place, after: string | null): Promise<Event[]> {
  const query = { limit: 100, ...(after !== null && { cursor: after }) };
  const { data } = await api.GET('/user/users/feed', { params: { query } });
  return data?.items ?? [];
}

type Page = { items: Thing[]; nextCursor: string | null };

async function readAll(
  read: (cursor: { cursor?: string }) => Promise<{ data?: Page; error?: unknown }>,
): Promise<Thing[]> {
  const all: Thing[] = [];
  let cursor: string | null | undefined;
  do {
    const { data, error } = await read(cursor ? { cursor } : {});
    if (!data) throw new Error(`a list was refused: ${JSON.stringify(error)}`);
    all.push(...data.items);
    cursor = data.nextCursor;
  } while (cursor !== null);
  return all;
}
