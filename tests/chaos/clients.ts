/** Random clients of both services, which use every operation of the contracts and record what they observe. */
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenOf, type Creation, type Entity, type Fields, type History } from './history.ts';
import type { Random } from '@task-manager/testing/random';
import { send, type Context, type Page, type RequestOptions, type Result, type Target } from './requests.ts';

/** What all clients share. */
export interface World extends Context {
  tasks: History;
  users: History;
  targets: Map<History, Target[]>;
}

const maxAttempts = 8;
const statuses = ['todo', 'in-progress', 'done'];
const priorities = ['low', 'normal', 'high'];
const days = ['2026-12-10', '2026-12-11', '2026-12-12', null];
const defaults = { description: '', status: 'todo', priority: 'normal', dueDate: null, assigneeId: null, labels: [] };

export class Client {
  readonly #number: number;
  readonly #world: World;
  readonly #random: Random;
  #tokens = 0;
  /** The idempotency key of a task that was created. */
  #usedKey: string | undefined;

  constructor(number: number, world: World, random: Random) {
    this.#number = number;
    this.#world = world;
    this.#random = random;
  }

  /** Sends requests until the signal aborts, and ends with its last one. */
  async work(signal: AbortSignal): Promise<void> {
    const { tasks, users } = this.#world;
    const createOrDelete = (history: History, create: () => Promise<void>) =>
      history.known.size < history.resource.maxSize ? create() : this.#delete(history);
    const steps: [weight: number, step: () => Promise<void>][] = [
      [14, () => createOrDelete(tasks, () => this.#createTask())],
      [4, () => createOrDelete(tasks, () => this.#createTasks())],
      [1, () => this.#reuseKey()],
      [6, () => createOrDelete(users, () => this.#registerUser())],
      [30, () => this.#update(tasks, this.#taskFields())],
      [5, () => this.#update(users, {})],
      [6, () => this.#delete(tasks)],
      [3, () => this.#delete(users)],
      [16, () => this.#get(tasks)],
      [5, () => this.#get(users)],
      [
        2,
        () => this.#list(tasks, `sort=${this.#random.pick(['', '-'])}createdAt&limit=${this.#random.integer(20, 100)}`),
      ],
      [1, () => this.#list(users, `limit=${this.#random.integer(5, 20)}`)],
      [3, () => this.#readFeed(tasks)],
      [2, () => this.#readFeed(users)],
    ];
    while (!signal.aborted) {
      await this.#random.weighted(steps)();
      await sleep(this.#random.integer(0, 25), undefined, { signal }).catch(() => undefined);
    }
  }

  async #createTask(): Promise<void> {
    const { tasks } = this.#world;
    const item = this.#newTask();
    await this.#create(tasks, tasks.resource.createPath, item.body, [item], assigneesOf([item.body]));
  }

  async #createTasks(): Promise<void> {
    const items = Array.from({ length: this.#random.integer(1, 5) }, () => this.#newTask());
    const bodies = items.map(({ body }) => body);
    await this.#create(this.#world.tasks, '/tasks/batch', { items: bodies }, items, assigneesOf(bodies));
  }

  async #registerUser(): Promise<void> {
    const { users } = this.#world;
    const token = this.#token();
    // Sometimes clients compete for an address.
    const isShared = this.#random.chance(0.2);
    const email = isShared ? `Shared.${this.#random.integer(1, 3)}@example.com` : `${token}@example.com`;
    const fields = { name: token, email };
    await this.#create(users, users.resource.createPath, fields, [{ token, fields }], [], isShared);
  }

  /** With an idempotency key it retries until there is a response, sometimes concurrently; without one it must not. */
  async #create(
    history: History,
    path: string,
    body: object,
    items: Creation['items'],
    userIds: string[],
    mayConflict = userIds.length > 0,
  ): Promise<void> {
    const key = this.#random.chance(0.6) ? `key ${items[0]?.token}` : undefined;
    const options = { body, key, expected: [201, ...(key !== undefined || mayConflict ? [409] : [])] };
    const creation: Creation = { items, calls: [], results: [], rejected: false };
    history.creations.push(creation);
    let mayHaveHappened = false;
    let observedAt = Infinity;
    for (let attempt = 1; attempt <= (key === undefined ? 1 : maxAttempts); attempt++) {
      if (attempt > 1) await sleep(this.#random.integer(20, 300));
      const count = key !== undefined && this.#random.chance(0.25) ? 2 : 1;
      const sending = Array.from({ length: count }, () => this.#send(history, 'POST', path, options));
      const results = await Promise.all(sending);
      for (const { call, data, status, unknown } of results) {
        creation.calls.push(call);
        if (data) {
          creation.results.push((data as { items?: Entity[] }).items ?? [data as Entity]);
          observedAt = Math.min(observedAt, call.endedAt);
        }
        if (status === 409 && userIds.length > 0 && key === undefined) history.unknownAssignees.push({ call, userIds });
        mayHaveHappened ||= unknown || data !== undefined;
      }
      // The first rejections may only say that another request with the key is in progress.
      if (creation.results.length > 0 || (attempt > 2 && !results.some(({ unknown }) => unknown))) break;
    }
    creation.rejected = !mayHaveHappened;
    if (history === this.#world.tasks && creation.results.length > 0) this.#usedKey = key ?? this.#usedKey;
    const startedAt = creation.calls[0]?.startedAt ?? 0;
    for (const entity of creation.results[0] ?? []) history.observe({ startedAt, endedAt: observedAt }, entity);
  }

  /** Sends another body with a key that was used. */
  async #reuseKey(): Promise<void> {
    const key = this.#usedKey;
    const options = { body: { title: 'another' }, key, expected: [422] };
    if (key !== undefined) await this.#send(this.#world.tasks, 'POST', '/tasks', options);
  }

  async #update(history: History, fields: Fields): Promise<void> {
    const entity = this.#choose(history);
    if (!entity) return;
    const { resource } = history;
    const body: Fields = { [resource.tokenField]: `${tokenOf(resource, entity)} ${this.#token()}`, ...fields };
    const userIds = assigneesOf([body]);
    const ifMatch = this.#versionOf(entity);
    const expected = [200, 404, ...(userIds.length > 0 ? [409] : [])];
    const result = await this.#send(history, 'PATCH', `${resource.path}/${entity.id}`, { body, ifMatch, expected });
    const { call, status, unknown } = result;
    const updated = result.data as Entity | undefined;
    if (updated ?? unknown) {
      history.story(entity.id).updates.push({ call, fields: body, ifMatch, version: updated?.version });
    }
    if (updated) history.observe(call, updated);
    if (status === 409) history.unknownAssignees.push({ call, userIds });
    this.#recordRejection(history, entity.id, result, ifMatch);
  }

  async #delete(history: History): Promise<void> {
    const entity = this.#choose(history);
    if (!entity) return;
    const { id } = entity;
    const ifMatch = this.#versionOf(entity);
    const options = { ifMatch, expected: [204, 404] };
    const result = await this.#send(history, 'DELETE', `${history.resource.path}/${id}`, options);
    const done = result.status === 204;
    if (done || result.unknown) history.story(id).deletions.push({ call: result.call, ifMatch, done });
    if (done) history.forget(id);
    this.#recordRejection(history, id, result, ifMatch);
  }

  async #get(history: History): Promise<void> {
    const { deletedIds } = history;
    const isDeleted = this.#random.chance(0.15) && deletedIds.length > 0;
    const id = isDeleted ? this.#random.pick(deletedIds) : this.#choose(history)?.id;
    if (id === undefined) return;
    const result = await this.#send(history, 'GET', `${history.resource.path}/${id}`, { expected: [200, 404] });
    if (result.data) history.observe(result.call, result.data as Entity);
    this.#recordRejection(history, id, result);
  }

  #recordRejection(history: History, id: string, { call, status }: Result, ifMatch?: number): void {
    if (status === 404) {
      history.story(id).notFound.push(call);
      history.forget(id);
    }
    if (status === 412 && ifMatch !== undefined) history.story(id).conflicts.push({ call, ifMatch });
  }

  /** Reads a list to its end, each page from another target; gives up at a page without a response. */
  async #list(history: History, query: string): Promise<void> {
    const list: History['lists'][number] = { calls: [], ids: [] };
    let cursor: string | null = '';
    while (cursor !== null) {
      const path = `${history.resource.path}?${query}${cursor && `&cursor=${cursor}`}`;
      const { call, data } = await this.#send(history, 'GET', path, { expected: [200] });
      if (!data) return;
      const page = data as Page<Entity>;
      list.calls.push(call);
      list.ids.push(...page.items.map(({ id }) => id));
      for (const entity of page.items) history.observe(call, entity);
      cursor = page.nextCursor;
    }
    history.lists.push(list);
  }

  /** Reads three pages of the feed, from its start or from where a client has stopped. */
  async #readFeed(history: History): Promise<void> {
    const last = history.feedPages.at(-1);
    let after = last && this.#random.chance(0.8) ? (last.ids.at(-1) ?? last.after) : history.startCursor;
    for (let count = 0; count < 3; count++) {
      const query = `limit=${this.#random.integer(10, 100)}${after === null ? '' : `&cursor=${after}`}`;
      const { call, data } = await this.#send(history, 'GET', `${history.resource.path}/feed?${query}`, {
        expected: [200],
      });
      if (!data) return;
      const page = data as Page<{ id: string }>;
      history.feedPages.push({ call, after, ids: page.items.map(({ id }) => id) });
      after = page.nextCursor;
    }
  }

  #send(history: History, method: string, path: string, options: RequestOptions): Promise<Result> {
    const target = this.#random.pick(this.#world.targets.get(history) ?? []);
    return send(this.#world, `client ${this.#number}`, this.#random, target, [method, path], options);
  }

  #newTask(): { token: string; body: Fields; fields: Fields } {
    const token = this.#token();
    const body = { title: token, ...this.#taskFields() };
    return { token, body, fields: { ...defaults, ...body } };
  }

  #taskFields(): Fields {
    const random = this.#random;
    const { known, deletedIds } = this.#world.users;
    // Some tasks are assigned to a user who has just been deleted.
    const assignees = random.chance(0.1) && deletedIds.length > 0 ? deletedIds : [...known.keys()];
    return {
      ...(random.chance(0.3) && { status: random.pick(statuses) }),
      ...(random.chance(0.3) && { priority: random.pick(priorities) }),
      ...(random.chance(0.3) && { dueDate: random.pick(days) }),
      ...(random.chance(0.2) && { labels: ['home', 'work', 'urgent'].filter(() => random.chance(0.5)) }),
      ...(random.chance(0.3) && { assigneeId: random.chance(0.2) ? null : (random.pickEarly(assignees) ?? null) }),
    };
  }

  #choose({ known }: History): Entity | undefined {
    return this.#random.pickEarly([...known.values()]);
  }

  /** For If-Match: none, the last known version, or a stale one. */
  #versionOf({ version }: Entity): number | undefined {
    if (this.#random.chance(0.4)) return undefined;
    return version > 1 && this.#random.chance(0.2) ? version - 1 : version;
  }

  /** A word that identifies one change. */
  #token(): string {
    this.#tokens += 1;
    return `${this.#number}.${this.#tokens}`;
  }
}

function assigneesOf(bodies: Fields[]): string[] {
  return bodies.flatMap(({ assigneeId }) => (assigneeId as string | null | undefined) ?? []);
}
