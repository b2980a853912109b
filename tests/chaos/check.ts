/** The consistency check: whether everything that clients observed agrees with the final state and with the feed. */
import {
  describeCall,
  groupBy,
  tokenOf,
  type Call,
  type Creation,
  type Entity,
  type Event,
  type Facts,
  type History,
  type Story,
} from './history.ts';
import { Replay } from './replay.ts';

/** The final state, once everything is idle, and every event since the start of the history. */
export interface FinalState {
  entities: Entity[];
  events: Event[];
}

export interface Violation {
  what: string;
  /** The calls that it concerns, one per line. */
  details: string[];
}

/** `deletedUsers` are those that do not exist in the end, with the earliest time of their deletion: tasks lose them. */
export function check(history: History, end: FinalState, deletedUsers = new Map<string, number>()): Violation[] {
  const { resource, stories, creations } = history;
  const final = new Map(end.entities.map((entity) => [entity.id, entity]));
  const eventsOf = groupBy(end.events, ({ data }) => data.id);
  const entities = [...end.entities, ...[...stories.values()].flatMap((story) => story.observations.map(entityOf))];
  const idsOf = new Map<string, Set<string>>();
  for (const [token, group] of groupBy(entities, (entity) => tokenOf(resource, entity))) {
    idsOf.set(token, new Set(group.map(({ id }) => id)));
  }
  for (const creation of creations) {
    for (const id of creation.items.flatMap(({ token }) => [...(idsOf.get(token) ?? [])])) {
      history.story(id).creation = creation;
    }
  }
  const violations: Violation[] = [];
  for (const id of new Set([...history.start.keys(), ...stories.keys(), ...final.keys(), ...eventsOf.keys()])) {
    const events = eventsOf.get(id) ?? [];
    const facts: Facts = { id, start: history.start.get(id), final: final.get(id), events, deletedUsers };
    const isUntouched = events.length === 0 && JSON.stringify(facts.start) === JSON.stringify(facts.final);
    if (!stories.has(id) && isUntouched) continue;
    const story = history.story(id);
    const problems = history.deletedBefore.has(id) ? checkDeleted(story, facts) : checkEntity(history, story, facts);
    violations.push(...problems.map((what) => ({ what: `${id}: ${what}`, details: describeStory(story, facts) })));
  }
  return [
    ...violations,
    ...creations.flatMap((creation) => checkCreation(creation, idsOf)),
    ...checkAssignees(history, deletedUsers),
    ...history.lists.flatMap((list) => checkList(history, list)),
    ...checkFeed(history, end.events),
  ];
}

/** One key gives one response and one set of entities: all of them, or none if it was rejected. */
function checkCreation(creation: Creation, idsOf: Map<string, Set<string>>): Violation[] {
  const { items, calls, results, rejected } = creation;
  const created = items.filter(({ token }) => idsOf.has(token));
  const problems = created.flatMap(({ token }) => {
    const ids = [...(idsOf.get(token) ?? [])];
    return ids.length > 1 ? [`${token} was created ${ids.length} times: ${ids.join(', ')}`] : [];
  });
  if (new Set(results.map((result) => JSON.stringify(result))).size > 1) {
    problems.push('one idempotency key has different responses');
  }
  if (rejected && created.length > 0) problems.push(`${created[0]?.token} was rejected, but exists`);
  if (created.length > 0 && created.length < items.length) {
    problems.push(`only ${created.length} of ${items.length} in a batch were created`);
  }
  return problems.map((what) => ({ what, details: calls.map(describeCall) }));
}

function checkDeleted({ observations, updates }: Story, { events, final }: Facts): string[] {
  const isBack = final ?? observations.length + events.length + updates.filter(({ version }) => version).length > 0;
  return isBack ? ['it was deleted, but exists again'] : [];
}

function checkEntity({ resource }: History, story: Story, facts: Facts): string[] {
  const { start, final, events } = facts;
  const last = Math.max(
    ...[start?.version ?? 0, final?.version ?? 0, ...events.map(({ data }) => data.version)],
    ...story.observations.map(({ entity }) => entity.version),
    ...story.updates.map(({ version = 0 }) => version),
  );
  return [
    ...checkEvents(resource.events, facts, last),
    ...checkReads(story),
    ...checkDeletions(story, facts),
    ...checkConflicts(story, facts, last),
    ...new Replay(resource, story, facts, last).problems(),
  ];
}

/** One event for each version and one for the deletion, in this order. */
function checkEvents(types: History['resource']['events'], { start, final, events }: Facts, last: number): string[] {
  const expected: string[] = [];
  for (let version = (start?.version ?? 0) + 1; version <= last; version++) {
    expected.push(`${version === 1 ? types.created : types.updated} ${version}`);
  }
  if (!final && last > 0) expected.push(`${types.deleted} ${last}`);
  const found = events.map(({ type, data }) => `${type} ${data.version}`);
  if (found.join() === expected.join()) return [];
  const isReordered = found.toSorted().join() === expected.toSorted().join();
  const what = isReordered ? 'its events are out of order' : 'its events are wrong';
  return [`${what}: [${found.join(', ')}] instead of [${expected.join(', ')}]`];
}

/** A request that starts after a response never returns an older version than that response. */
function checkReads({ observations, updates }: Story): string[] {
  const seen = [
    ...observations.map(({ call, entity }) => ({ call, version: entity.version, increment: 0 })),
    ...updates.flatMap(({ call, version }) => (version === undefined ? [] : [{ call, version, increment: 1 }])),
  ];
  const byEnd = seen.toSorted((one, other) => one.call.endedAt - other.call.endedAt);
  let next = 0;
  let newest = 0;
  for (const { call, version, increment } of seen.toSorted((a, b) => a.call.startedAt - b.call.startedAt)) {
    for (; (byEnd[next]?.call.endedAt ?? Infinity) < call.startedAt; next++) {
      newest = Math.max(newest, byEnd[next]?.version ?? 0);
    }
    if (version < newest + increment) return [`version ${version} was returned after version ${newest}`];
  }
  return [];
}

/** 404 only after a deletion, no success after one, and one deletion at most. */
function checkDeletions({ observations, updates, deletions, notFound }: Story, { start, final }: Facts): string[] {
  const problems: string[] = [];
  const done = deletions.filter((deletion) => deletion.done);
  if (done.length > 1) problems.push('it was deleted twice');
  if (done.length > 0 && final) problems.push('it was deleted, but exists');
  const firstDeletion = Math.min(...deletions.map(({ call }) => call.startedAt));
  const early = notFound.find(({ endedAt }) => endedAt < firstDeletion);
  if (early && (start ?? final ?? observations.length > 0)) {
    problems.push(`it was not found before its deletion (${describeCall(early)})`);
  }
  const deletedAt = Math.min(...[...notFound, ...done.map(({ call }) => call)].map(({ endedAt }) => endedAt));
  const successes = [...observations, ...updates.filter(({ version }) => version)];
  if (successes.some(({ call }) => call.startedAt > deletedAt)) problems.push('it was deleted, but exists again');
  return problems;
}

/** A request is rejected with 412 only when `If-Match` does not have the current version. */
function checkConflicts({ updates, deletions, conflicts }: Story, { final }: Facts, last: number): string[] {
  const isPossible = ({ call, ifMatch }: Story['conflicts'][number]) => {
    if (ifMatch > last) return true;
    const afterLast = final ? [] : deletions;
    const next = ifMatch < last ? updates.filter(({ version }) => version === ifMatch + 1) : afterLast;
    // The next version was made without a response: it may have been made at any time.
    if (ifMatch < last && next.length === 0) return true;
    return next.some((successor) => successor.call.startedAt < call.endedAt);
  };
  const wrong = conflicts.find((conflict) => !isPossible(conflict));
  return wrong
    ? [`the version in If-Match was current, but the request was rejected (${describeCall(wrong.call)})`]
    : [];
}

/** A task is rejected for an unknown assignee only if one of its assignees may have been deleted. */
function checkAssignees({ unknownAssignees }: History, deletedUsers: Map<string, number>): Violation[] {
  return unknownAssignees
    .filter(({ call, userIds }) => userIds.every((id) => (deletedUsers.get(id) ?? Infinity) > call.endedAt))
    .map(({ call, userIds }) => ({ what: `the assignees ${userIds.join(', ')} exist`, details: [describeCall(call)] }));
}

/** A list that was read to its end has everything that existed throughout, and nothing twice. */
function checkList(history: History, { calls, ids }: History['lists'][number]): Violation[] {
  const [startedAt, endedAt] = [calls[0]?.startedAt ?? 0, calls.at(-1)?.endedAt ?? 0];
  const listed = new Set(ids);
  const missing = [...new Set([...history.start.keys(), ...history.stories.keys()])].filter((id) => {
    const { observations = [], deletions = [] } = history.stories.get(id) ?? {};
    const existed = history.start.has(id) || observations.some(({ call }) => call.endedAt < startedAt);
    return !listed.has(id) && existed && deletions.every(({ call }) => call.startedAt > endedAt);
  });
  const pages = calls.map(describeCall);
  return [
    ...(listed.size < ids.length ? [{ what: 'a list has an item twice', details: pages }] : []),
    ...missing.map((id) => ({
      what: `a list lacks ${id}, which existed throughout`,
      details: [...pages, 'calls for it:', ...describeCalls(history.story(id))],
    })),
  ];
}

/** A page of the feed has the events that follow its cursor without a gap, and no event comes twice. */
function checkFeed({ feedPages, startCursor }: History, events: Event[]): Violation[] {
  const all = events.map(({ id }) => id);
  const violations: Violation[] = [];
  if (new Set(all).size < all.length) violations.push({ what: 'an event is in the feed twice', details: [] });
  for (const { call, after, ids } of feedPages) {
    const from = after === startCursor ? 0 : all.indexOf(after ?? '') + 1;
    const expected = all.slice(from, from + ids.length);
    if (ids.join() === expected.join()) continue;
    const what = `after ${after} the feed returned ${ids.join()} instead of ${expected.join()}`;
    violations.push({ what, details: [describeCall(call)] });
  }
  return violations;
}

function entityOf({ entity }: Story['observations'][number]): Entity {
  return entity;
}

function describeStory(story: Story, { final, events }: Facts): string[] {
  return [
    ...describeCalls(story),
    `feed: ${events.map(({ id, type, data }) => `${id} ${type} ${data.version}`).join(', ')}`,
    `final state: ${final ? JSON.stringify(final) : 'deleted'}`,
  ];
}

/** In the order in which they started. */
function describeCalls({ creation, observations, notFound, updates, deletions, conflicts }: Story): string[] {
  const reads = observations.flatMap(({ call, entity }) =>
    call.request?.startsWith('GET') ? [{ ...(call as Call), response: `200 version ${entity.version}` }] : [],
  );
  const writes = [...updates, ...deletions, ...conflicts].map(({ call }) => call);
  const calls = [...(creation?.calls ?? []), ...notFound, ...writes, ...reads];
  return calls.sort((one, other) => one.startedAt - other.startedAt).map(describeCall);
}
