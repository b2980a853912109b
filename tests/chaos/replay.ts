/**
 * Replays an entity from version to version. Each version was made by one update: the one whose response has it or, where
 * that was lost, one whose outcome is unknown. Some replay must agree with every observation.
 */
import {
  groupBy,
  tokenOf,
  type Deletion,
  type Entity,
  type Facts,
  type Fields,
  type Resource,
  type Story,
  type Update,
} from './history.ts';

/** Fields that the service computes. */
const computed = ['version', 'updatedAt', 'completedAt'];

export class Replay {
  readonly #resource: Resource;
  readonly #story: Story;
  readonly #facts: Facts;
  readonly #last: number;
  readonly #observed: Map<number, Entity[]>;
  /** Why the replay that came furthest failed. */
  #failure = { version: 0, why: '' };

  constructor(resource: Resource, story: Story, facts: Facts, last: number) {
    this.#resource = resource;
    this.#story = story;
    this.#facts = facts;
    this.#last = last;
    const entities = [...story.observations.map(({ entity }) => entity), ...(facts.final ? [facts.final] : [])];
    this.#observed = groupBy(entities, ({ version }) => version);
  }

  problems(): string[] {
    const { id, start, final, events } = this.#facts;
    const { deletions, creation } = this.#story;
    for (const [version, entities] of this.#observed) {
      const states = new Set(entities.map((entity) => JSON.stringify(entity)));
      if (states.size > 1) return [`version ${version} has two states`];
    }
    if (!final && this.#last > 0 && deletions.length === 0) return ['it is gone, but no client deleted it'];
    if (start) return this.#replay(start.version, { ...start }, new Set()) ? [] : [this.#failure.why];
    // Clients may send requests for what never existed.
    if (this.#last === 0) return final || events.length > 0 ? ['it has no version'] : [];
    const tokens = new Set([...this.#observed.values()].flat().map((entity) => tokenOf(this.#resource, entity)));
    const own = creation?.items.find(({ token }) => tokens.has(token));
    if (!own) return [`no client created ${id}`];
    const isExplained = this.#agrees(1, own.fields) && this.#replay(1, own.fields, new Set());
    return isExplained ? [] : [this.#failure.why];
  }

  /** Whether the versions after this one can be explained; `used` are updates that explain earlier ones. */
  #replay(version: number, state: Fields, used: Set<Update>): boolean {
    const next = version + 1;
    if (next > this.#last) return this.#canEnd(version);
    const [update, second] = this.#story.updates.filter((each) => each.version === next);
    if (second) return this.#fail(next, `version ${next} was made by two updates`);
    if (!update) return this.#guess(next, state, used);
    if ((update.ifMatch ?? version) !== version) {
      return this.#fail(next, `an update with If-Match "${update.ifMatch}" was applied to version ${version}`);
    }
    const after = { ...state, ...update.fields };
    return this.#agrees(next, after) && this.#replay(next, after, used);
  }

  /** Tries each update of unknown outcome, and the deletion of the assignee. */
  #guess(version: number, state: Fields, used: Set<Update>): boolean {
    const firstSeenAt = this.#firstSeenAt(version);
    const assigneeDeletedAt = this.#facts.deletedUsers.get(String(state.assigneeId)) ?? Infinity;
    if (assigneeDeletedAt < firstSeenAt) {
      const after = { ...state, assigneeId: null };
      if (this.#agrees(version, after) && this.#replay(version, after, used)) return true;
    }
    for (const update of this.#story.updates) {
      if (update.version !== undefined || used.has(update) || update.call.startedAt > firstSeenAt) continue;
      if ((update.ifMatch ?? version - 1) !== version - 1) continue;
      const after = { ...state, ...update.fields };
      if (this.#agrees(version, after) && this.#replay(version, after, new Set(used).add(update))) return true;
    }
    return this.#fail(version, `no client made version ${version}`);
  }

  #canEnd(version: number): boolean {
    if (this.#facts.final) return true;
    const matches = ({ ifMatch }: Deletion) => (ifMatch ?? version) === version;
    const done = this.#story.deletions.filter((deletion) => deletion.done);
    if ((done.length > 0 ? done : this.#story.deletions).some(matches)) return true;
    return this.#fail(version, `it was deleted at version ${version}, which no If-Match had`);
  }

  #firstSeenAt(minVersion: number): number {
    const { observations, updates } = this.#story;
    return Math.min(
      ...observations.flatMap(({ call, entity }) => (entity.version >= minVersion ? [call.endedAt] : [])),
      ...updates.flatMap(({ call, version = 0 }) => (version >= minVersion ? [call.endedAt] : [])),
    );
  }

  /** Whether no observation of this version has another state. */
  #agrees(version: number, state: Fields): boolean {
    const [observed] = this.#observed.get(version) ?? [];
    const differs = (name: string) => JSON.stringify(state[name]) !== JSON.stringify(observed?.[name]);
    const wrong = observed && Object.keys(state).find((name) => !computed.includes(name) && differs(name));
    if (wrong === undefined) return true;
    const [expected, found] = [state[wrong], observed?.[wrong]].map((value) => JSON.stringify(value));
    return this.#fail(version, `in version ${version}, ${wrong} should be ${expected} but is ${found}`);
  }

  #fail(version: number, why: string): false {
    if (version >= this.#failure.version) this.#failure = { version, why };
    return false;
  }
}
