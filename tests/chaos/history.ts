/** What clients requested and observed since the last consistent state. Times are those of `performance.now()`. */

/** A task or a user. */
export interface Entity {
  id: string;
  version: number;
  [field: string]: unknown;
}

export type Fields = Record<string, unknown>;

/** How one service names what every service has. */
export interface Resource {
  schema: string;
  path: string;
  createPath: string;
  /** Its first word is the token of the request that created the entity, which no update changes. */
  tokenField: string;
  events: { created: string; updated: string; deleted: string };
  /** Clients delete at this size, so that lists stay short and clients meet. */
  maxSize: number;
}

export const tasks: Resource = {
  ...{ schema: 'task_service', path: '/tasks', createPath: '/tasks', tokenField: 'title', maxSize: 120 },
  events: { created: 'task.created', updated: 'task.updated', deleted: 'task.deleted' },
};

export const users: Resource = {
  ...{ schema: 'user_service', path: '/user/users', createPath: '/user/register', tokenField: 'name', maxSize: 25 },
  events: { created: 'user.registered', updated: 'user.updated', deleted: 'user.deleted' },
};

/** A request and its response. */
export interface Call {
  client: string;
  target: string;
  request: string;
  response: string;
  startedAt: number;
  /** When it was answered or given up; a request without a response may still take effect later. */
  endedAt: number;
}

/** One attempt to create entities, all or none: one request, or several with the same idempotency key. */
export interface Creation {
  items: { token: string; fields: Fields }[];
  calls: Call[];
  /** The entities of each successful response. */
  results: Entity[][];
  /** Every request was rejected, so it must not have taken effect. */
  rejected: boolean;
}

/** `version` is the one it made; undefined when the outcome is unknown. */
export interface Update {
  call: Call;
  fields: Fields;
  ifMatch: number | undefined;
  version: number | undefined;
}

export interface Deletion {
  call: Call;
  ifMatch: number | undefined;
  /** Whether it was acknowledged. */
  done: boolean;
}

/** What happened to one entity. */
export interface Story {
  /** A created entity was seen between the first attempt and the first response, so there may be no single call. */
  observations: { call: Pick<Call, 'startedAt' | 'endedAt'> & Partial<Call>; entity: Entity }[];
  notFound: Call[];
  updates: Update[];
  deletions: Deletion[];
  /** Requests that were rejected with 412. */
  conflicts: { call: Call; ifMatch: number }[];
  creation?: Creation;
}

/** All calls to one service since the last consistent state. */
export class History {
  readonly resource: Resource;
  /** The last consistent state, and its place in the feed. */
  start = new Map<string, Entity>();
  startCursor: string | null = null;
  stories = new Map<string, Story>();
  creations: Creation[] = [];
  /** Lists that were read to the end, and pages of the feed. */
  lists: { calls: Call[]; ids: string[] }[] = [];
  feedPages: { call: Call; after: string | null; ids: string[] }[] = [];
  /** Tasks that were rejected because one of these users does not exist. */
  unknownAssignees: { call: Call; userIds: string[] }[] = [];
  /** What clients choose from: existing entities, and ids of recently deleted ones. */
  known = new Map<string, Entity>();
  deletedIds: string[] = [];
  /** Everything that was deleted before `start`. */
  readonly deletedBefore = new Set<string>();

  constructor(resource: Resource) {
    this.resource = resource;
  }

  story(id: string): Story {
    const story = this.stories.get(id) ?? {
      ...{ observations: [], notFound: [], updates: [], deletions: [], conflicts: [] },
    };
    this.stories.set(id, story);
    return story;
  }

  observe(call: Story['observations'][number]['call'], entity: Entity): void {
    const { observations, notFound, deletions } = this.story(entity.id);
    observations.push({ call, entity });
    if (notFound.length > 0 || deletions.some(({ done }) => done)) return;
    if ((this.known.get(entity.id)?.version ?? 0) <= entity.version) this.known.set(entity.id, entity);
  }

  forget(id: string): void {
    if (this.known.delete(id)) this.deletedIds = [...this.deletedIds, id].slice(-20);
  }

  /** Starts again from a state that was found consistent. */
  restart(entities: Entity[], cursor: string | null): void {
    const ids = new Set(entities.map(({ id }) => id));
    for (const id of [...this.start.keys(), ...this.stories.keys()]) if (!ids.has(id)) this.deletedBefore.add(id);
    this.start = new Map(entities.map((entity) => [entity.id, entity]));
    this.startCursor = cursor;
    this.stories.clear();
    for (const list of [this.creations, this.lists, this.feedPages, this.unknownAssignees]) list.length = 0;
    this.known = new Map(this.start);
  }
}

export interface Event {
  id: string;
  type: string;
  data: { id: string; version: number };
}

/** What is known of an entity apart from its story. */
export interface Facts {
  id: string;
  start: Entity | undefined;
  final: Entity | undefined;
  events: Event[];
  deletedUsers: Map<string, number>;
}

export function tokenOf({ tokenField }: Resource, entity: Entity): string {
  return String(entity[tokenField]).split(' ')[0] ?? '';
}

/** One line of a violation's report. */
export function describeCall({ client, target, request, response, startedAt, endedAt }: Call): string {
  return `${describeTime(startedAt, endedAt)}  ${client} to ${target}: ${request} → ${response}`;
}

export function describeTime(startedAt: number, endedAt: number): string {
  return `${(startedAt / 1000).toFixed(3)}–${(endedAt / 1000).toFixed(3)} s`;
}

/** Map.groupBy needs Node 21. */
export function groupBy<Item, Key>(items: Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
