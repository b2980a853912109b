/** The consistency check of `npm run chaos` on made-up histories that violate one promise each. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { check } from './check.ts';
import { History, tasks, type Call, type Creation, type Entity, type Fields, type Event } from './history.ts';

const id = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
const userId = '01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10';
const initial: Fields = { title: '1.1', status: 'todo', assigneeId: null };

let history: History;
let time: number;
beforeEach(() => {
  history = new History(tasks);
  time = 0;
});

/** A request that starts after the response to the one before. */
function call(): Call {
  time += 10;
  return { client: 'client 1', target: 'gateway', request: 'x', response: 'y', startedAt: time - 9, endedAt: time };
}

function task(version: number, fields: Fields = initial, ownId = id): Entity {
  return { id: ownId, version, ...fields };
}

function create(items: [token: string, result: Entity | undefined][], rejected = false): Creation {
  const sent = call();
  const results = items.flatMap(([, result]) => result ?? []);
  const creation = {
    items: items.map(([token]) => ({ token, fields: { ...initial, title: token } })),
    calls: [sent],
    results: results.length > 0 ? [results] : [],
    rejected,
  };
  history.creations.push(creation);
  for (const result of results) history.observe(sent, result);
  return creation;
}

/** Without a version the response was lost. */
function update(fields: Fields, version?: number, ifMatch?: number): void {
  history.story(id).updates.push({ call: call(), fields, ifMatch, version });
}

function remove(done: boolean, ifMatch?: number): void {
  history.story(id).deletions.push({ call: call(), ifMatch, done });
}

function events(...list: [type: 'created' | 'updated' | 'deleted', version: number][]): Event[] {
  return list.map(([type, version], index) => ({ id: `7-${index}`, type: `task.${type}`, data: { id, version } }));
}

function found(entities: Entity[], feed: Event[], deletedUsers?: Map<string, number>): string {
  return check(history, { entities, events: feed }, deletedUsers)
    .map(({ what }) => what)
    .join('; ');
}

const done = { title: '1.1 1.2', status: 'done' };
const createdAndUpdated = events(['created', 1], ['updated', 2]);

describe('the consistency check', () => {
  it('finds no violation in a consistent history', () => {
    create([['1.1', task(1)]]);
    update(done, 2, 1);
    history.observe(call(), task(2, { ...initial, ...done }));
    expect(found([task(2, { ...initial, ...done })], createdAndUpdated)).toBe('');
    remove(true, 2);
    history.story(id).notFound.push(call());
    expect(found([], events(['created', 1], ['updated', 2], ['deleted', 2]))).toBe('');
  });

  it('accepts either outcome of a request without a response', () => {
    create([['1.1', undefined]]);
    expect(found([], [])).toBe('');
    update(done);
    expect(found([task(1)], events(['created', 1]))).toBe('');
    expect(found([task(2, { ...initial, ...done })], createdAndUpdated)).toBe('');
    remove(false);
    expect(found([task(1)], events(['created', 1]))).toBe('');
  });

  it('accepts updates without a response once each, in any order that fits', () => {
    create([['1.1', task(1)]]);
    update({ title: '1.1 1.2' });
    update({ status: 'done' });
    const feed = events(['created', 1], ['updated', 2], ['updated', 3]);
    expect(found([task(3, { ...initial, ...done })], feed)).toBe('');
    expect(found([task(3, { ...initial, status: 'done' })], feed)).toContain('no client made version 3');
    expect(found([task(4, { ...initial, ...done })], [...feed, ...events(['updated', 4])])).toContain(
      'no client made version 4',
    );
  });

  it('finds an acknowledged task that is lost', () => {
    create([['1.1', task(1)]]);
    expect(found([], [])).toContain('gone, but no client deleted it');
  });

  it('finds an acknowledged update that is lost', () => {
    create([['1.1', task(1)]]);
    update(done, 2);
    expect(found([task(1)], events(['created', 1]))).toContain('its events are wrong');
    expect(found([task(2)], createdAndUpdated)).toContain('in version 2, title should be');
  });

  it('finds a task that was created twice with one key, and different responses', () => {
    const creation = create([['1.1', task(1)]]);
    const other = task(1, initial, userId);
    creation.results.push([other]);
    expect(found([task(1), other], events(['created', 1]))).toContain('1.1 was created 2 times');
    expect(found([task(1), other], events(['created', 1]))).toContain('one idempotency key has different responses');
  });

  it('finds a batch that is created in part', () => {
    create([
      ['1.1', undefined],
      ['1.2', undefined],
    ]);
    expect(found([task(1)], events(['created', 1]))).toContain('only 1 of 2 in a batch');
  });

  it('finds a rejected task that exists', () => {
    create([['1.1', undefined]], true);
    expect(found([task(1)], events(['created', 1]))).toContain('was rejected, but exists');
  });

  it('finds a task that no client created', () => {
    expect(found([task(1)], events(['created', 1]))).toContain('no client created');
  });

  it('finds two updates of one version', () => {
    create([['1.1', task(1)]]);
    update(done, 2, 1);
    update({ title: '1.1 1.3' }, 3, 1);
    const state = task(3, { ...initial, ...done, title: '1.1 1.3' });
    expect(found([state], events(['created', 1], ['updated', 2], ['updated', 3]))).toContain(
      'an update with If-Match "1"',
    );
  });

  it('finds an update that was rejected although its version was current', () => {
    create([['1.1', task(1)]]);
    history.story(id).conflicts.push({ call: call(), ifMatch: 1 });
    expect(found([task(1)], events(['created', 1]))).toContain('the request was rejected');
    update(done, 2);
    expect(found([task(2, { ...initial, ...done })], createdAndUpdated)).toContain('the request was rejected');
  });

  it('finds a client that does not read its own writes', () => {
    create([['1.1', task(1)]]);
    update(done, 2);
    history.observe(call(), task(1));
    expect(found([task(2, { ...initial, ...done })], createdAndUpdated)).toContain(
      'version 1 was returned after version 2',
    );
  });

  it('finds a task that was not found before its deletion, and one that exists after it', () => {
    create([['1.1', task(1)]]);
    history.story(id).notFound.push(call());
    expect(found([task(1)], events(['created', 1]))).toContain('before its deletion');
    remove(true);
    history.observe(call(), task(1));
    expect(found([], events(['created', 1], ['deleted', 1]))).toContain('deleted, but exists again');
    history.restart([], '7-1');
    expect(found([task(1)], [])).toContain('deleted, but exists again');
  });

  it.each([
    ['lacks an event', events(['created', 1])],
    ['has an event twice', events(['created', 1], ['updated', 2], ['updated', 2])],
    ['has events out of order', events(['updated', 2], ['created', 1])],
  ])('finds a feed that %s', (_, feed) => {
    create([['1.1', task(1)]]);
    update(done, 2);
    expect(found([task(2, { ...initial, ...done })], feed)).toMatch(/events are wrong|out of order/);
  });

  it('accepts that a task loses a deleted assignee once', () => {
    const given = { ...initial, assigneeId: userId };
    create([['1.1', task(1)]]);
    update({ assigneeId: userId }, 2);
    history.observe(call(), task(2, given));
    const deletedUsers = new Map([[userId, 0]]);
    const feed = events(['created', 1], ['updated', 2], ['updated', 3]);
    expect(found([task(3, initial)], feed, deletedUsers)).toBe('');
    expect(found([task(3, initial)], feed)).toContain('no client made version 3');
    expect(found([task(4, initial)], [...feed, ...events(['updated', 4])], deletedUsers)).toContain(
      'no client made version 4',
    );
  });

  it('finds a list that lacks a task or has it twice', () => {
    create([['1.1', task(1)]]);
    history.lists.push({ calls: [call()], ids: [] });
    expect(found([task(1)], events(['created', 1]))).toContain('which existed throughout');
    history.lists = [{ calls: [call()], ids: [id, id] }];
    expect(found([task(1)], events(['created', 1]))).toContain('a list has an item twice');
  });

  it('finds a page of the feed with a gap', () => {
    create([['1.1', task(1)]]);
    update(done, 2);
    history.feedPages.push({ call: call(), after: null, ids: ['7-1'] });
    expect(found([task(2, { ...initial, ...done })], createdAndUpdated)).toContain(
      'the feed returned 7-1 instead of 7-0',
    );
  });

  it('finds a task that was rejected although its assignee exists', () => {
    history.unknownAssignees.push({ call: call(), userIds: [userId] });
    expect(found([], [])).toContain('exist');
    expect(found([], [], new Map([[userId, 0]]))).toBe('');
  });
});
