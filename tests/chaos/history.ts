/** What was asked and what was answered, as the check needs it: since everything was last seen to be right. */

/** A task or a user. */
export interface Thing {
  id: string;
  version: number;
  [field: string]: unknown;
}

export type Fields = Record<string, unknown>;

/** One request. Times are in milliseconds since the run began. */
export interface Call {
  client: string;
  where: string;
  request: string;
  answer: string;
  began: number;
  /** When there was an answer, or the client gave up: what was asked may still happen after it. */
  ended: number;
}

/**
 * An attempt to create things, all of them or none, in one request or in several with the same key. Each has a token of
 * its own, by which it is known for ever.
 */
export interface Creation {
  items: { token: string; fields: Fields }[];
  calls: Call[];
  /** What was answered each time that it was answered well. */
  results: Thing[][];
  /** Every request was refused, so it cannot have happened. */
  refused: boolean;
}

/** `version` is the one it made; undefined when it may have happened or not. */
export interface Change {
  call: Call;
  fields: Fields;
  ifMatch: number | undefined;
  version: number | undefined;
}

export interface Removal {
  call: Call;
  ifMatch: number | undefined;
  done: boolean;
}

/** Whoever was told of a thing. What was created is as it was at some time since the first attempt, so there is no one call. */
export interface Sight {
  call: Pick<Call, 'began' | 'ended'> & Partial<Call>;
  thing: Thing;
}

/** All that concerns one thing. */
export class Story {
  sights: Sight[] = [];
  /** It was answered that there is no such thing. */
  absences: Call[] = [];
  changes: Change[] = [];
  removals: Removal[] = [];
  /** Refused with 412, for this is not its version. */
  stale: { call: Call; ifMatch: number }[] = [];
  creation: Creation | undefined;
}

/** A list that was read to its end, a page at a time. */
export interface Walk {
  calls: Call[];
  ids: string[];
}

/** A page of a feed: what came after a place. */
export interface FeedPage {
  call: Call;
  after: string | null;
  ids: string[];
}

/** What is known of all tasks, or of all users. */
export class History {
  /** What there was when all was seen to be right. */
  start = new Map<string, Thing>();
  startCursor: string | null = null;
  stories = new Map<string, Story>();
  creations: Creation[] = [];
  walks: Walk[] = [];
  pages: FeedPage[] = [];
  /** A task was refused because one of these is no user. */
  unknownAssignees: { call: Call; userIds: string[] }[] = [];
  /** What clients choose from: as it was last seen, and what was there once. */
  known = new Map<string, Thing>();
  gone: string[] = [];
  /** Those that were gone before `start`. */
  readonly goneBefore = new Set<string>();

  story(id: string): Story {
    const story = this.stories.get(id) ?? new Story();
    this.stories.set(id, story);
    return story;
  }

  see(call: Sight['call'], thing: Thing): void {
    const story = this.story(thing.id);
    story.sights.push({ call, thing });
    const isGone = story.absences.length > 0 || story.removals.some(({ done }) => done);
    if (!isGone && (this.known.get(thing.id)?.version ?? 0) <= thing.version) this.known.set(thing.id, thing);
  }

  miss(call: Call, id: string): void {
    this.story(id).absences.push(call);
    this.forget(id);
  }

  change(id: string, change: Change): void {
    this.story(id).changes.push(change);
  }

  remove(id: string, removal: Removal): void {
    this.story(id).removals.push(removal);
    if (removal.done) this.forget(id);
  }

  forget(id: string): void {
    if (!this.known.delete(id)) return;
    this.gone.push(id);
    if (this.gone.length > 20) this.gone.shift();
  }

  /** All was as it should be: what comes is measured by what is there now. */
  beginAgain(things: Thing[], cursor: string | null): void {
    const ids = new Set(things.map(({ id }) => id));
    for (const id of [...this.start.keys(), ...this.stories.keys()]) if (!ids.has(id)) this.goneBefore.add(id);
    this.start = new Map(things.map((thing) => [thing.id, thing]));
    this.startCursor = cursor;
    this.stories = new Map();
    this.creations = [];
    this.walks = [];
    this.pages = [];
    this.unknownAssignees = [];
    this.known = new Map(this.start);
  }
}
