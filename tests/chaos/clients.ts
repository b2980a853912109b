/** Clients of both services, who do whatever the contracts allow, as chance has it, and write down what they are told. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { components, operations } from '../../generated/task-manager.d.ts';
import { ask, type Answer, type Api, type Asked, type Place, type Surroundings } from './requests.ts';
import type { Call, Creation, Fields, History, Thing } from './history.ts';
import type { Random } from './random.ts';

type NewTask = components['schemas']['NewTask'];
type TaskChanges = components['schemas']['TaskChanges'];
type Sort = NonNullable<NonNullable<operations['listTasks']['parameters']['query']>['sort']>;

/** What all clients share. */
export interface World extends Surroundings {
  tasks: History;
  users: History;
  /** Where each service can be asked. */
  taskPlaces: Place[];
  userPlaces: Place[];
}

/** There are not many more at a time, so that lists stay short and clients meet. */
const populationMax = { tasks: 120, users: 25 };
const attemptsMax = 8;

const sorts: Sort[] = ['createdAt', '-createdAt'];
const statuses = ['todo', 'in-progress', 'done'] as const;
const priorities = ['low', 'normal', 'high'] as const;
const days = ['2026-12-10', '2026-12-11', '2026-12-12', null];
const defaults = { description: '', status: 'todo', priority: 'normal', dueDate: null, assigneeId: null, labels: [] };

export class Client {
  readonly #number: number;
  readonly #world: World;
  readonly #random: Random;
  readonly #steps: [weight: number, step: () => Promise<void>][];
  #made = 0;
  /** Of a task that was created. */
  #usedKey: string | undefined;

  constructor(number: number, world: World, random: Random) {
    this.#number = number;
    this.#world = world;
    this.#random = random;
    const { tasks, users } = world;
    this.#steps = [
      [14, () => (tasks.known.size < populationMax.tasks ? this.#createTask() : this.#deleteTask())],
      [4, () => (tasks.known.size < populationMax.tasks ? this.#createTasks() : this.#deleteTask())],
      [1, () => this.#reuseKey()],
      [6, () => (users.known.size < populationMax.users ? this.#registerUser() : this.#deleteUser())],
      [30, () => this.#updateTask()],
      [5, () => this.#updateUser()],
      [6, () => this.#deleteTask()],
      [3, () => this.#deleteUser()],
      [16, () => this.#getTask()],
      [5, () => this.#getUser()],
      [2, () => this.#listTasks()],
      [1, () => this.#listUsers()],
      [3, () => this.#readTaskFeed()],
      [2, () => this.#readUserFeed()],
    ];
  }

  /** Goes on until the signal, and ends when its last request is over. */
  async work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#step()();
      await sleep(this.#random.integer(0, 25), undefined, { signal }).catch(() => undefined);
    }
  }

  #step(): () => Promise<void> {
    const total = this.#steps.reduce((sum, [weight]) => sum + weight, 0);
    let left = this.#random.integer(1, total);
    for (const [weight, step] of this.#steps) {
      left -= weight;
      if (left <= 0) return step;
    }
    throw new Error('the weights do not add up');
  }

  async #createTask(): Promise<void> {
    const { token, body } = this.#newTask();
    await this.#create(
      this.#world.tasks,
      [{ token, fields: { ...defaults, ...body } }],
      assigneesOf([body]),
      (key) => ({
        request: `POST /tasks ${JSON.stringify(body)}`,
        places: this.#world.taskPlaces,
        ask: async (api, signal) =>
          inList(await api.POST('/tasks', { body, signal, params: { header: keyed(key) } }), (task) => [task]),
        expected: [201, ...(key !== undefined || body.assigneeId ? [409] : [])],
      }),
    );
  }

  async #createTasks(): Promise<void> {
    const made = Array.from({ length: this.#random.integer(1, 5) }, () => this.#newTask());
    const items = made.map(({ body }) => body);
    const given = made.map(({ token, body }) => ({ token, fields: { ...defaults, ...body } }));
    await this.#create(this.#world.tasks, given, assigneesOf(items), (key) => ({
      request: `POST /tasks/batch ${JSON.stringify(items)}`,
      places: this.#world.taskPlaces,
      ask: async (api, signal) =>
        inList(
          await api.POST('/tasks/batch', { body: { items }, signal, params: { header: keyed(key) } }),
          (list) => list.items,
        ),
      expected: [201, ...(key !== undefined || assigneesOf(items).length > 0 ? [409] : [])],
    }));
  }

  async #registerUser(): Promise<void> {
    const token = this.#token();
    // Some want the same address.
    const isShared = this.#random.chance(0.2);
    const email = isShared ? `Shared.${this.#random.integer(1, 3)}@example.com` : `${token}@example.com`;
    const body = { name: token, email };
    await this.#create(this.#world.users, [{ token, fields: body }], [], (key) => ({
      request: `POST /register ${JSON.stringify(body)}`,
      places: this.#world.userPlaces,
      ask: async (api, signal) =>
        inList(await api.POST('/user/register', { body, signal, params: { header: keyed(key) } }), (user) => [user]),
      expected: [201, ...(key !== undefined || isShared ? [409] : [])],
    }));
  }

  /**
   * Creates things. With a key it asks again until there is an answer, sometimes twice at the same time; without one it
   * must not.
   */
  async #create(
    history: History,
    items: Creation['items'],
    userIds: string[],
    asking: (key: string | undefined) => Asked<Thing[]>,
  ): Promise<void> {
    const key = this.#random.chance(0.6) ? `key ${items[0]?.token}` : undefined;
    const creation: Creation = { items, calls: [], results: [], refused: false };
    history.creations.push(creation);
    let isOver = false;
    let mayHaveHappened = false;
    let answeredAt = Infinity;
    for (let attempt = 1; !isOver && attempt <= (key === undefined ? 1 : attemptsMax); attempt++) {
      if (attempt > 1) await sleep(this.#random.integer(20, 300));
      const times = key !== undefined && this.#random.chance(0.25) ? 2 : 1;
      const asked = asking(key);
      const answers = await Promise.all(Array.from({ length: times }, () => this.#ask(asked, key)));
      for (const { call, data, status, unknown } of answers) {
        creation.calls.push(call);
        if (data) {
          creation.results.push(data);
          answeredAt = Math.min(answeredAt, call.ended);
        }
        if (status === 409 && userIds.length > 0 && key === undefined) history.unknownAssignees.push({ call, userIds });
        mayHaveHappened ||= unknown || data !== undefined;
      }
      // Refused with a key, it may only be that the other one is in flight.
      isOver = creation.results.length > 0 || (attempt > 2 && answers.every(({ unknown }) => !unknown));
    }
    creation.refused = !mayHaveHappened;
    if (history === this.#world.tasks && creation.results.length > 0) this.#usedKey = key ?? this.#usedKey;
    const began = creation.calls[0]?.began ?? 0;
    for (const thing of creation.results[0] ?? []) history.see({ began, ended: answeredAt }, thing);
  }

  /** Asks for something else with a key that was used. */
  async #reuseKey(): Promise<void> {
    const key = this.#usedKey;
    if (key === undefined) return;
    const asked: Asked<Thing> = {
      request: 'POST /tasks {"title":"another"}',
      places: this.#world.taskPlaces,
      ask: (api, signal) => api.POST('/tasks', { body: { title: 'another' }, params: { header: keyed(key) }, signal }),
      expected: [422],
    };
    await this.#ask(asked, key);
  }

  async #updateTask(): Promise<void> {
    const { tasks, taskPlaces } = this.#world;
    const task = this.#choose(tasks);
    if (!task) return;
    const body: TaskChanges = {
      title: `${String(task.title).split(' ')[0]} ${this.#token()}`,
      ...this.#fields(),
    };
    const ifMatch = this.#versionOf(task);
    const answer = await this.#ask<Thing>({
      request: `PATCH /tasks/${task.id} ${said(ifMatch)}${JSON.stringify(body)}`,
      places: taskPlaces,
      ask: (api, signal) =>
        api.PATCH('/tasks/{taskId}', {
          params: { path: { taskId: task.id }, header: matching(ifMatch) },
          body,
          signal,
        }),
      expected: [200, 404, ...(ifMatch === undefined ? [] : [412]), ...(body.assigneeId ? [409] : [])],
    });
    this.#changed(tasks, task.id, body, ifMatch, answer);
    if (answer.status === 409) tasks.unknownAssignees.push({ call: answer.call, userIds: assigneesOf([body]) });
  }

  async #updateUser(): Promise<void> {
    const { users, userPlaces } = this.#world;
    const user = this.#choose(users);
    if (!user) return;
    const body = { name: `${String(user.name).split(' ')[0]} ${this.#token()}` };
    const ifMatch = this.#versionOf(user);
    const answer = await this.#ask<Thing>({
      request: `PATCH /users/${user.id} ${said(ifMatch)}${JSON.stringify(body)}`,
      places: userPlaces,
      ask: (api, signal) =>
        api.PATCH('/user/users/{userId}', {
          params: { path: { userId: user.id }, header: matching(ifMatch) },
          body,
          signal,
        }),
      expected: [200, 404, ...(ifMatch === undefined ? [] : [412])],
    });
    this.#changed(users, user.id, body, ifMatch, answer);
  }

  #changed(history: History, id: string, fields: Fields, ifMatch: number | undefined, answer: Answer<Thing>): void {
    const { call, data, status, unknown } = answer;
    if (data ?? unknown) history.change(id, { call, fields, ifMatch, version: data?.version });
    if (data) history.see(call, data);
    this.#refused(history, id, ifMatch, call, status);
  }

  #refused(history: History, id: string, ifMatch: number | undefined, call: Call, status: number | undefined): void {
    if (status === 404) history.miss(call, id);
    if (status === 412 && ifMatch !== undefined) history.story(id).stale.push({ call, ifMatch });
  }

  async #deleteTask(): Promise<void> {
    const { tasks, taskPlaces } = this.#world;
    await this.#delete(tasks, taskPlaces, '/tasks', (api, id, header, signal) =>
      api.DELETE('/tasks/{taskId}', { params: { path: { taskId: id }, header }, signal }),
    );
  }

  async #deleteUser(): Promise<void> {
    const { users, userPlaces } = this.#world;
    await this.#delete(users, userPlaces, '/users', (api, id, header, signal) =>
      api.DELETE('/user/users/{userId}', { params: { path: { userId: id }, header }, signal }),
    );
  }

  async #delete(
    history: History,
    places: Place[],
    path: string,
    ask: (
      api: Api,
      id: string,
      header: { 'If-Match'?: string },
      signal: AbortSignal,
    ) => ReturnType<Asked<undefined>['ask']>,
  ): Promise<void> {
    const thing = this.#choose(history);
    if (!thing) return;
    const ifMatch = this.#versionOf(thing);
    const { call, status, unknown } = await this.#ask({
      request: `DELETE ${path}/${thing.id} ${said(ifMatch)}`,
      places,
      ask: (api, signal) => ask(api, thing.id, matching(ifMatch), signal),
      expected: [204, 404, ...(ifMatch === undefined ? [] : [412])],
    });
    if (status === 204 || unknown) history.remove(thing.id, { call, ifMatch, done: status === 204 });
    this.#refused(history, thing.id, ifMatch, call, status);
  }

  async #getTask(): Promise<void> {
    const { tasks, taskPlaces } = this.#world;
    await this.#get(tasks, taskPlaces, '/tasks', (api, taskId, signal) =>
      api.GET('/tasks/{taskId}', { params: { path: { taskId } }, signal }),
    );
  }

  async #getUser(): Promise<void> {
    const { users, userPlaces } = this.#world;
    await this.#get(users, userPlaces, '/users', (api, userId, signal) =>
      api.GET('/user/users/{userId}', { params: { path: { userId } }, signal }),
    );
  }

  async #get(
    history: History,
    places: Place[],
    path: string,
    ask: (api: Api, id: string, signal: AbortSignal) => ReturnType<Asked<Thing>['ask']>,
  ): Promise<void> {
    const id =
      this.#random.chance(0.15) && history.gone.length > 0
        ? this.#random.pick(history.gone)
        : this.#choose(history)?.id;
    if (id === undefined) return;
    const { call, status, data } = await this.#ask({
      request: `GET ${path}/${id}`,
      places,
      ask: (api, signal) => ask(api, id, signal),
      expected: [200, 404],
    });
    if (data) history.see(call, data);
    this.#refused(history, id, undefined, call, status);
  }

  async #listTasks(): Promise<void> {
    const { tasks, taskPlaces } = this.#world;
    const query = { sort: this.#random.pick(sorts), limit: this.#random.integer(20, 100) };
    await this.#walk(tasks, taskPlaces, `/tasks?sort=${query.sort}&limit=${query.limit}`, (api, cursor, signal) =>
      api.GET('/tasks', { params: { query: { ...query, ...cursor } }, signal }),
    );
  }

  async #listUsers(): Promise<void> {
    const { users, userPlaces } = this.#world;
    const limit = this.#random.integer(5, 20);
    await this.#walk(users, userPlaces, `/users?limit=${limit}`, (api, cursor, signal) =>
      api.GET('/user/users', { params: { query: { limit, ...cursor } }, signal }),
    );
  }

  /** Reads a list to its end, each page at another place; gives up at a page that is not answered. */
  async #walk(
    history: History,
    places: Place[],
    path: string,
    ask: (
      api: Api,
      cursor: { cursor?: string },
      signal: AbortSignal,
    ) => ReturnType<Asked<{ items: Thing[]; nextCursor: string | null }>['ask']>,
  ): Promise<void> {
    const calls: Call[] = [];
    const ids: string[] = [];
    let cursor: string | null | undefined;
    do {
      const at = cursor ? { cursor } : {};
      const { call, data } = await this.#ask({
        request: `GET ${path}${cursor ? `&cursor=${cursor}` : ''}`,
        places,
        ask: (api, signal) => ask(api, at, signal),
        expected: [200],
      });
      if (!data) return;
      calls.push(call);
      for (const thing of data.items) {
        history.see(call, thing);
        ids.push(thing.id);
      }
      cursor = data.nextCursor;
    } while (cursor !== null);
    history.walks.push({ calls, ids });
  }

  async #readTaskFeed(): Promise<void> {
    const { tasks, taskPlaces } = this.#world;
    await this.#readFeed(tasks, taskPlaces, '/tasks/feed', (api, query, signal) =>
      api.GET('/tasks/feed', { params: { query }, signal }),
    );
  }

  async #readUserFeed(): Promise<void> {
    const { users, userPlaces } = this.#world;
    await this.#readFeed(users, userPlaces, '/users/feed', (api, query, signal) =>
      api.GET('/user/users/feed', { params: { query }, signal }),
    );
  }

  /** Reads on in a feed for a few pages, from where it began or from where somebody has read to. */
  async #readFeed(
    history: History,
    places: Place[],
    path: string,
    ask: (
      api: Api,
      query: { limit: number; cursor?: string },
      signal: AbortSignal,
    ) => ReturnType<Asked<{ items: { id: string }[]; nextCursor: string | null }>['ask']>,
  ): Promise<void> {
    const last = history.pages.at(-1);
    let after = last && this.#random.chance(0.8) ? (last.ids.at(-1) ?? last.after) : history.startCursor;
    for (let page = 0; page < 3; page++) {
      const limit = this.#random.integer(10, 100);
      const query = { limit, ...(after !== null && { cursor: after }) };
      const { call, data } = await this.#ask({
        request: `GET ${path}?limit=${limit}&cursor=${after}`,
        places,
        ask: (api, signal) => ask(api, query, signal),
        expected: [200],
      });
      if (!data) return;
      history.pages.push({ call, after, ids: data.items.map(({ id }) => id) });
      after = data.nextCursor;
    }
  }

  #ask<Data>(asked: Asked<Data>, key?: string): Promise<Answer<Data>> {
    return ask(this.#world, `client ${this.#number}`, this.#random, asked, key);
  }

  #newTask(): { token: string; body: NewTask } {
    const token = this.#token();
    return { token, body: { title: token, ...this.#fields() } };
  }

  /** Some of the fields that a task can be given or changed in. */
  #fields(): Omit<NewTask, 'title'> {
    const random = this.#random;
    const { known, gone } = this.#world.users;
    // Some are given to who has just left.
    const assignees = random.chance(0.1) && gone.length > 0 ? gone : [...known.keys()];
    return {
      ...(random.chance(0.3) && { status: random.pick(statuses) }),
      ...(random.chance(0.3) && { priority: random.pick(priorities) }),
      ...(random.chance(0.3) && { dueDate: random.pick(days) }),
      ...(random.chance(0.2) && { labels: random.some(['home', 'work', 'urgent']) }),
      ...(random.chance(0.3) && { assigneeId: random.chance(0.2) ? null : (random.pickEarly(assignees) ?? null) }),
    };
  }

  /** One that is there, as far as anybody knows. */
  #choose({ known }: History): Thing | undefined {
    return this.#random.pickEarly([...known.values()]);
  }

  /** What a client says it has seen: nothing, the truth as it was last known, or what is out of date. */
  #versionOf({ version }: Thing): number | undefined {
    if (this.#random.chance(0.4)) return undefined;
    return version > 1 && this.#random.chance(0.2) ? version - 1 : version;
  }

  /** A word that stands for one change, by which it is seen who made a version. */
  #token(): string {
    this.#made += 1;
    return `${this.#number}.${this.#made}`;
  }
}

function keyed(key: string | undefined): { 'Idempotency-Key'?: string } {
  return key === undefined ? {} : { 'Idempotency-Key': key };
}

function matching(version: number | undefined): { 'If-Match'?: string } {
  return version === undefined ? {} : { 'If-Match': `"${version}"` };
}

function said(ifMatch: number | undefined): string {
  return ifMatch === undefined ? '' : `If-Match: "${ifMatch}" `;
}

function assigneesOf(tasks: { assigneeId?: string | null }[]): string[] {
  return tasks.flatMap(({ assigneeId }) => assigneeId ?? []);
}

/** The same answer, with all that was made in a list. */
function inList<Data>(
  { data, error, response }: { data?: Data; error?: unknown; response: Response },
  listOf: (data: Data) => Thing[],
): { data?: Thing[]; error?: unknown; response: Response } {
  return { error, response, ...(response.ok && data !== undefined && { data: listOf(data) }) };
}
