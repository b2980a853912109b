/**
 * What must be true of a history, given what there is in the end. Each thing is a story of versions: each version is made
 * by one change, known by its answer or, where the answer was lost, one of those that may have happened. There must be a
 * way to tell the story that agrees with everything that anybody has seen.
 */
import type { Call, Change, Creation, FeedPage, Fields, History, Removal, Story, Thing, Walk } from './history.ts';

export interface Event {
  id: string;
  type: string;
  data: { id: string; version: number };
}

/** How it has ended, once everything had come to rest. */
export interface End {
  things: Thing[];
  /** All events since the start of the history. */
  events: Event[];
}

export interface Violation {
  what: string;
  /** Of what it concerns, line by line. */
  history: string[];
}

/** The words of one service for what all services do. */
export interface Kind {
  made: string;
  changed: string;
  removed: string;
  /** The token of whoever created it, which no change takes away. */
  tokenOf: (thing: Thing) => string;
}

export const tasks: Kind = {
  ...{ made: 'task.created', changed: 'task.updated', removed: 'task.deleted' },
  tokenOf: ({ title }) => String(title).split(' ')[0] ?? '',
};

export const users: Kind = {
  ...{ made: 'user.registered', changed: 'user.updated', removed: 'user.deleted' },
  tokenOf: ({ name }) => String(name).split(' ')[0] ?? '',
};

/** `removedUsers`: who is no user in the end, with when somebody first asked for it. Their tasks are taken from them, once. */
export function check(kind: Kind, history: History, end: End, removedUsers = new Map<string, number>()): Violation[] {
  const final = new Map(end.things.map((thing) => [thing.id, thing]));
  const eventsOf = groupBy(end.events, ({ data }) => data.id);
  const idsOf = idsByToken(kind, history, end);
  for (const creation of history.creations) {
    for (const { token } of creation.items) {
      for (const id of idsOf.get(token) ?? []) history.story(id).creation = creation;
    }
  }
  const violations: Violation[] = [];
  for (const id of new Set([...history.start.keys(), ...history.stories.keys(), ...final.keys(), ...eventsOf.keys()])) {
    const story = history.stories.get(id);
    const events = eventsOf.get(id) ?? [];
    const facts = { kind, id, start: history.start.get(id), final: final.get(id), events, removedUsers };
    if (!story && isUntouched(facts)) continue;
    const known = story ?? history.story(id);
    const wrong = history.goneBefore.has(id) ? wrongWithGone(known, facts) : wrongWith(known, facts);
    violations.push(...wrong.map((what) => ({ what: `${id}: ${what}`, history: tell(known, facts) })));
  }
  for (const creation of history.creations) {
    const tell = creation.calls.map((call) => line(call));
    violations.push(...wrongWithCreation(creation, idsOf).map((what) => ({ what, history: tell })));
  }
  violations.push(...wrongRefusals(history, removedUsers));
  for (const walk of history.walks) violations.push(...wrongWithWalk(history, walk));
  for (const page of history.pages) violations.push(...wrongWithPage(page, end.events, history.startCursor));
  violations.push(...wrongWithFeed(end.events));
  return violations;
}

/** What is known of one thing besides its story. */
interface Facts {
  kind: Kind;
  id: string;
  start: Thing | undefined;
  final: Thing | undefined;
  events: Event[];
  removedUsers: Map<string, number>;
}

function isUntouched({ start, final, events }: Facts): boolean {
  return events.length === 0 && JSON.stringify(start) === JSON.stringify(final);
}

/** Every id that was seen with each token. */
function idsByToken(kind: Kind, history: History, { things }: End): Map<string, Set<string>> {
  const ids = new Map<string, Set<string>>();
  const add = (thing: Thing) => {
    const token = kind.tokenOf(thing);
    ids.set(token, (ids.get(token) ?? new Set()).add(thing.id));
  };
  things.forEach(add);
  for (const { sights } of history.stories.values()) for (const { thing } of sights) add(thing);
  return ids;
}

function wrongWithCreation({ items, results, refused }: Creation, idsOf: Map<string, Set<string>>): string[] {
  const wrong: string[] = [];
  const answers = new Set(results.map((result) => JSON.stringify(result)));
  if (answers.size > 1) wrong.push('one key, and different answers');
  const made = items.filter(({ token }) => idsOf.has(token));
  for (const { token } of made) {
    const ids = [...(idsOf.get(token) ?? [])];
    if (ids.length > 1) wrong.push(`${token} was made ${ids.length} times: ${ids.join(', ')}`);
  }
  if (refused && made.length > 0) wrong.push(`${made[0]?.token} was refused, and is there`);
  if (made.length > 0 && made.length < items.length) {
    wrong.push(`of ${items.length} that were created together only ${made.length} came to be`);
  }
  return wrong;
}

function wrongWithGone({ sights, changes }: Story, { events, final }: Facts): string[] {
  const isBack = final ?? sights.length + events.length + changes.filter(({ version }) => version).length > 0;
  return isBack ? ['it was gone, and is there again'] : [];
}

function wrongWith(story: Story, facts: Facts): string[] {
  const { start, final } = facts;
  const versions = [start, final].map((thing) => thing?.version ?? 0);
  const last = Math.max(...versions, ...facts.events.map(({ data }) => data.version), lastSeen(story));
  return [
    ...wrongWithEvents(facts, last),
    ...wrongWithOrder(story),
    ...wrongWithAbsence(story, facts),
    ...wrongWithStale(story, facts, last),
    ...new Telling(story, facts, last).wrong(),
  ];
}

/** The highest version that anybody was told of. */
function lastSeen({ sights, changes }: Story): number {
  return Math.max(0, ...sights.map(({ thing }) => thing.version), ...changes.map(({ version = 0 }) => version));
}

/** One event for each version, and one for the end, in this order. */
function wrongWithEvents({ kind, start, final, events }: Facts, last: number): string[] {
  const expected: string[] = [];
  for (let version = (start?.version ?? 0) + 1; version <= last; version++) {
    expected.push(`${version === 1 ? kind.made : kind.changed} ${version}`);
  }
  if (!final && last > 0) expected.push(`${kind.removed} ${last}`);
  const told = events.map(({ type, data }) => `${type} ${data.version}`);
  if (told.join() === expected.join()) return [];
  const rightButForOrder = [...told].sort().join() === [...expected].sort().join();
  const what = rightButForOrder
    ? 'its events are not in the order of its versions'
    : 'the feed does not tell its story';
  return [`${what}: [${told.join(', ')}] instead of [${expected.join(', ')}]`];
}

/** Whoever asks after an answer sees at least what that answer told: nobody reads what is older than what they wrote. */
function wrongWithOrder({ sights, changes }: Story): string[] {
  const told = [
    ...sights.map(({ call, thing }) => ({ call, version: thing.version, makes: 0 })),
    ...changes.flatMap(({ call, version }) => (version === undefined ? [] : [{ call, version, makes: 1 }])),
  ];
  const byEnd = [...told].sort((one, other) => one.call.ended - other.call.ended);
  let next = 0;
  let newest = 0;
  for (const { call, version, makes } of [...told].sort((one, other) => one.call.began - other.call.began)) {
    for (; (byEnd[next]?.call.ended ?? Infinity) < call.began; next++)
      newest = Math.max(newest, byEnd[next]?.version ?? 0);
    if (version < newest + makes) return [`version ${version} was told after version ${newest}`];
  }
  return [];
}

function wrongWithAbsence({ sights, changes, removals, absences }: Story, { start, final }: Facts): string[] {
  const wrong: string[] = [];
  const done = removals.filter((removal) => removal.done);
  if (done.length > 1) wrong.push('it was deleted twice');
  if (done.length > 0 && final) wrong.push('it was deleted, and is there');
  const wasThere = start ?? final ?? sights.length > 0;
  const firstRemoval = Math.min(...removals.map(({ call }) => call.began));
  const early = absences.find(({ ended }) => ended < firstRemoval);
  if (early && wasThere) wrong.push(`it was not found before anybody deleted it (${line(early)})`);
  const goneAt = Math.min(...[...absences, ...done.map(({ call }) => call)].map(({ ended }) => ended));
  const late = [
    ...sights.map(({ call }) => call),
    ...changes.flatMap(({ call, version }) => (version ? [call] : [])),
  ].find(({ began }) => began > goneAt);
  if (late) wrong.push('it was gone, and is there again');
  return wrong;
}

/** `If-Match` is refused only when its version is not the one there is. */
function wrongWithStale({ changes, removals, stale }: Story, { final }: Facts, last: number): string[] {
  const successors = (version: number) =>
    version < last ? changes.filter((change) => change.version === version + 1) : final ? [] : removals;
  const isPossible = ({ call, ifMatch }: Story['stale'][number]) => {
    if (ifMatch > last) return true;
    const next = successors(ifMatch);
    // Nobody was told of having made the next version: it may have been made at any time.
    if (ifMatch < last && next.length === 0) return true;
    return next.some((successor) => successor.call.began < call.ended);
  };
  const refused = stale.find((each) => !isPossible(each));
  return refused ? [`it had the version that If-Match named, and the change was refused (${line(refused.call)})`] : [];
}

/** Tries to tell the story of a thing from version to version. */
class Telling {
  readonly #story: Story;
  readonly #facts: Facts;
  readonly #last: number;
  readonly #seen: Map<number, Thing[]>;
  /** How far it could be told at best, and what was wrong there. */
  #stuck = { version: 0, why: '' };

  constructor(story: Story, facts: Facts, last: number) {
    this.#story = story;
    this.#facts = facts;
    this.#last = last;
    const seen = [...story.sights.map(({ thing }) => thing), ...(facts.final ? [facts.final] : [])];
    this.#seen = groupBy(seen, ({ version }) => version);
  }

  wrong(): string[] {
    const { id, start, final, events } = this.#facts;
    for (const [version, things] of this.#seen) {
      if (new Set(things.map((thing) => JSON.stringify(thing))).size > 1)
        return [`version ${version} was seen in two states`];
    }
    const { removals, creation } = this.#story;
    if (!final && this.#last > 0 && removals.length === 0) return ['it is gone, and nobody has deleted it'];
    if (start) return this.#goesOn(start.version, { ...start }, new Set()) ? [] : [this.#stuck.why];
    // Never there, whatever somebody may have asked of it.
    if (this.#last === 0) return final || events.length > 0 ? ['it has no version'] : [];
    const own = creation?.items.find(({ token }) => this.#tokens().has(token));
    if (!own) return [`nobody has made ${id}`];
    if (this.#contradiction(1, own.fields)) return [this.#stuck.why];
    return this.#goesOn(1, own.fields, new Set()) ? [] : [this.#stuck.why];
  }

  #tokens(): Set<string> {
    return new Set([...this.#seen.values()].flat().map((thing) => this.#facts.kind.tokenOf(thing)));
  }

  /** Whether the rest can be told from this version on, with these changes used up. */
  #goesOn(version: number, state: Fields, used: Set<Change>): boolean {
    const next = version + 1;
    if (next > this.#last) return this.#endsWell(version);
    const told = this.#story.changes.filter((change) => change.version === next);
    if (told.length > 1) return this.#isStuck(next, `version ${next} was made by two changes`);
    const [change] = told;
    if (change) {
      if ((change.ifMatch ?? version) !== version) {
        return this.#isStuck(next, `a change with If-Match "${change.ifMatch}" was made to version ${version}`);
      }
      const after = { ...state, ...change.fields };
      return !this.#contradiction(next, after) && this.#goesOn(next, after, used);
    }
    return this.#guesses(next, state, used);
  }

  /** The version that nobody was told of making: tries every change that may have made it. */
  #guesses(version: number, state: Fields, used: Set<Change>): boolean {
    const firstSeen = this.#firstSeen(version);
    const removedAt = this.#facts.removedUsers.get(String(state.assigneeId)) ?? Infinity;
    if (removedAt < firstSeen) {
      const after = { ...state, assigneeId: null };
      if (!this.#contradiction(version, after) && this.#goesOn(version, after, used)) return true;
    }
    for (const change of this.#story.changes) {
      if (change.version !== undefined || used.has(change) || change.call.began > firstSeen) continue;
      if ((change.ifMatch ?? version - 1) !== version - 1) continue;
      const after = { ...state, ...change.fields };
      if (this.#contradiction(version, after)) continue;
      if (this.#goesOn(version, after, new Set(used).add(change))) return true;
    }
    return this.#isStuck(version, `nobody has made version ${version}`);
  }

  #endsWell(version: number): boolean {
    if (this.#facts.final) return true;
    const fits = ({ ifMatch }: Removal) => (ifMatch ?? version) === version;
    const done = this.#story.removals.filter(({ done }) => done);
    if ((done.length > 0 ? done : this.#story.removals).some(fits)) return true;
    return this.#isStuck(version, `it was deleted with version ${version}, which no If-Match named`);
  }

  #firstSeen(version: number): number {
    const { sights, changes } = this.#story;
    return Math.min(
      ...sights.flatMap(({ call, thing }) => (thing.version >= version ? [call.ended] : [])),
      ...changes.flatMap((change) => ((change.version ?? 0) >= version ? [change.call.ended] : [])),
    );
  }

  /** Whether somebody has seen another state of this version. */
  #contradiction(version: number, state: Fields): boolean {
    const [seen] = this.#seen.get(version) ?? [];
    if (!seen) return false;
    const computed = ['version', 'updatedAt', 'completedAt'];
    const wrong = Object.keys(state).find(
      (name) => !computed.includes(name) && JSON.stringify(state[name]) !== JSON.stringify(seen[name]),
    );
    if (wrong === undefined) return false;
    const [should, is] = [state[wrong], seen[wrong]].map((value) => JSON.stringify(value));
    return !this.#isStuck(version, `in version ${version}, ${wrong} should be ${should} and is ${is}`);
  }

  #isStuck(version: number, why: string): false {
    if (version >= this.#stuck.version) this.#stuck = { version, why };
    return false;
  }
}

/** Nobody is refused a task for being unknown who was there all the time. */
function wrongRefusals({ unknownAssignees }: History, removedUsers: Map<string, number>): Violation[] {
  return unknownAssignees
    .filter(({ call, userIds }) => userIds.every((id) => (removedUsers.get(id) ?? Infinity) > call.ended))
    .map(({ call, userIds }) => ({ what: `there were users ${userIds.join(', ')}`, history: [line(call)] }));
}

/** Whatever was there from its beginning to its end is listed, and nothing twice. */
function wrongWithWalk(history: History, { calls, ids }: Walk): Violation[] {
  const [began, ended] = [calls[0]?.began ?? 0, calls.at(-1)?.ended ?? 0];
  const listed = new Set(ids);
  const twice = ids.length - listed.size;
  const missing = [...new Set([...history.start.keys(), ...history.stories.keys()])].filter((id) => {
    if (listed.has(id)) return false;
    const { sights = [], removals = [] } = history.stories.get(id) ?? {};
    const wasThere = history.start.has(id) || sights.some(({ call }) => call.ended < began);
    return wasThere && removals.every(({ call }) => call.began > ended);
  });
  const asked = calls.map((call) => line(call));
  return [
    ...(twice > 0 ? [{ what: `a list has ${twice} things twice`, history: asked }] : []),
    ...missing.map((id) => ({
      what: `a list lacks ${id}, which was there throughout`,
      history: [...asked, 'of which is known:', ...linesOf(history.story(id))],
    })),
  ];
}

/** A page of the feed holds what comes next in it, with nothing left out. */
function wrongWithPage({ call, after, ids }: FeedPage, events: Event[], startCursor: string | null): Violation[] {
  const from = after === startCursor ? 0 : events.findIndex(({ id }) => id === after) + 1;
  const expected = events.slice(from, from + ids.length).map(({ id }) => id);
  if (ids.join() === expected.join()) return [];
  return [{ what: `after ${after} the feed told ${ids.join()} instead of ${expected.join()}`, history: [line(call)] }];
}

function wrongWithFeed(events: Event[]): Violation[] {
  const twice = events.length - new Set(events.map(({ id }) => id)).size;
  return twice > 0 ? [{ what: `${twice} events are in the feed twice`, history: [] }] : [];
}

/** As Map.groupBy, which Node 20 does not have. */
function groupBy<Item, Key>(items: Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function tell(story: Story, { final, events }: Facts): string[] {
  return [
    ...linesOf(story),
    `feed: ${events.map(({ id, type, data }) => `${id} ${type} ${data.version}`).join(', ')}`,
    `in the end: ${final ? JSON.stringify(final) : 'gone'}`,
  ];
}

/** What was asked and answered, in the order in which it began. */
function linesOf({ creation, sights, absences, changes, removals, stale }: Story): string[] {
  const calls = [
    ...(creation?.calls ?? []),
    ...absences,
    ...[...changes, ...removals, ...stale].map(({ call }) => call),
    // What was read of it, alone or in a list.
    ...sights.flatMap(({ call, thing }) =>
      call.request?.startsWith('GET') ? [{ ...(call as Call), answer: `200 version ${thing.version}` }] : [],
    ),
  ];
  return calls.sort((one, other) => one.began - other.began).map((call) => line(call));
}

/** What was asked by whom, and what was answered. */
export function line({ client, where, request, answer, began, ended }: Call): string {
  return `${span(began, ended)}  ${client} at ${where}: ${request} → ${answer}`;
}

/** From when to when, in seconds since the run began. */
export function span(began: number, ended: number): string {
  return `${(began / 1000).toFixed(3)}–${(ended / 1000).toFixed(3)} s`;
}
