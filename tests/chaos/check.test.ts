/** What the check of `npm run chaos` finds in made-up histories: each promise broken once. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { check, tasks, type Event } from './check.ts';
import { History, type Call, type Creation, type Fields, type Thing } from './history.ts';

const id = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
const userId = '01939c2d-11f6-7e0a-a9c3-7b5d4e3f2a10';
const made: Fields = { title: '1.1', status: 'todo', assigneeId: null };

let history: History;
let time: number;
beforeEach(() => {
  history = new History();
  time = 0;
});

/** A request that begins when the one before has its answer. */
function call(): Call {
  time += 10;
  return { client: 'client 1', where: 'gateway', request: 'x', answer: 'y', began: time - 9, ended: time };
}

function thing(version: number, fields: Fields = made, ownId = id): Thing {
  return { id: ownId, version, ...fields };
}

function create(items: [token: string, result: Thing | undefined][], refused = false): Creation {
  const asked = call();
  const results = items.flatMap(([, result]) => result ?? []);
  const creation = {
    items: items.map(([token]) => ({ token, fields: { ...made, title: token } })),
    calls: [asked],
    results: results.length > 0 ? [results] : [],
    refused,
  };
  history.creations.push(creation);
  for (const result of results) history.see(asked, result);
  return creation;
}

/** Answered with this version, or lost. */
function change(fields: Fields, version?: number, ifMatch?: number): void {
  const asked = call();
  history.change(id, { call: asked, fields, ifMatch, version });
}

function remove(done: boolean, ifMatch?: number): void {
  history.remove(id, { call: call(), ifMatch, done });
}

function events(...told: [type: 'created' | 'updated' | 'deleted', version: number][]): Event[] {
  return told.map(([type, version], index) => ({ id: `7-${index}`, type: `task.${type}`, data: { id, version } }));
}

function found(things: Thing[], feed: Event[], removedUsers?: Map<string, number>): string {
  return check(tasks, history, { things, events: feed }, removedUsers)
    .map(({ what }) => what)
    .join('; ');
}

const done = { title: '1.1 1.2', status: 'done' };
const createdAndUpdated = events(['created', 1], ['updated', 2]);

describe('the check of chaos', () => {
  it('finds nothing where all is right', () => {
    create([['1.1', thing(1)]]);
    change(done, 2, 1);
    history.see(call(), thing(2, { ...made, ...done }));
    expect(found([thing(2, { ...made, ...done })], createdAndUpdated)).toBe('');
    remove(true, 2);
    history.miss(call(), id);
    expect(found([], events(['created', 1], ['updated', 2], ['deleted', 2]))).toBe('');
  });

  it('lets what was lost have happened or not', () => {
    create([['1.1', undefined]]);
    expect(found([], [])).toBe('');
    change(done);
    expect(found([thing(1)], events(['created', 1]))).toBe('');
    expect(found([thing(2, { ...made, ...done })], createdAndUpdated)).toBe('');
    remove(false);
    expect(found([thing(1)], events(['created', 1]))).toBe('');
  });

  it('lets each lost change have happened once, in whatever order fits', () => {
    create([['1.1', thing(1)]]);
    change({ title: '1.1 1.2' });
    change({ status: 'done' });
    const feed = events(['created', 1], ['updated', 2], ['updated', 3]);
    expect(found([thing(3, { ...made, ...done })], feed)).toBe('');
    expect(found([thing(3, { ...made, status: 'done' })], feed)).toContain('nobody has made version 3');
    expect(found([thing(4, { ...made, ...done })], [...feed, ...events(['updated', 4])])).toContain(
      'nobody has made version 4',
    );
  });

  it('finds what was acknowledged and is gone', () => {
    create([['1.1', thing(1)]]);
    expect(found([], [])).toContain('gone, and nobody has deleted it');
  });

  it('finds a change that was acknowledged and is gone', () => {
    create([['1.1', thing(1)]]);
    change(done, 2);
    expect(found([thing(1)], events(['created', 1]))).toContain('the feed does not tell its story');
    expect(found([thing(2)], createdAndUpdated)).toContain('in version 2, title should be');
  });

  it('finds what was made twice with one key, and answers that differ', () => {
    const creation = create([['1.1', thing(1)]]);
    const other = thing(1, made, userId);
    creation.results.push([other]);
    expect(found([thing(1), other], events(['created', 1]))).toContain('1.1 was made 2 times');
    expect(found([thing(1), other], events(['created', 1]))).toContain('one key, and different answers');
  });

  it('finds a half-written batch', () => {
    create([
      ['1.1', undefined],
      ['1.2', undefined],
    ]);
    expect(found([thing(1)], events(['created', 1]))).toContain('of 2 that were created together only 1');
  });

  it('finds what was refused, and is there', () => {
    create([['1.1', undefined]], true);
    expect(found([thing(1)], events(['created', 1]))).toContain('was refused, and is there');
  });

  it('finds what nobody has made', () => {
    expect(found([thing(1)], events(['created', 1]))).toContain('nobody has made');
  });

  it('finds two changes that were made to one version', () => {
    create([['1.1', thing(1)]]);
    change(done, 2, 1);
    change({ title: '1.1 1.3' }, 3, 1);
    const state = thing(3, { ...made, ...done, title: '1.1 1.3' });
    expect(found([state], events(['created', 1], ['updated', 2], ['updated', 3]))).toContain(
      'a change with If-Match "1"',
    );
  });

  it('finds a change that was refused although it named the right version', () => {
    create([['1.1', thing(1)]]);
    history.story(id).stale.push({ call: call(), ifMatch: 1 });
    expect(found([thing(1)], events(['created', 1]))).toContain('the change was refused');
    change(done, 2);
    expect(found([thing(2, { ...made, ...done })], createdAndUpdated)).toContain('the change was refused');
  });

  it('finds who does not read what they wrote', () => {
    create([['1.1', thing(1)]]);
    change(done, 2);
    history.see(call(), thing(1));
    expect(found([thing(2, { ...made, ...done })], createdAndUpdated)).toContain('version 1 was told after version 2');
  });

  it('finds what was not there although nobody had deleted it, and what came back', () => {
    create([['1.1', thing(1)]]);
    history.miss(call(), id);
    expect(found([thing(1)], events(['created', 1]))).toContain('before anybody deleted it');
    remove(true);
    history.see(call(), thing(1));
    expect(found([], events(['created', 1], ['deleted', 1]))).toContain('gone, and is there again');
    history.beginAgain([], '7-1');
    expect(found([thing(1)], [])).toContain('gone, and is there again');
  });

  it.each([
    ['lacks an event', events(['created', 1])],
    ['has an event twice', events(['created', 1], ['updated', 2], ['updated', 2])],
    ['has them in another order', events(['updated', 2], ['created', 1])],
  ])('finds a feed that %s', (_, feed) => {
    create([['1.1', thing(1)]]);
    change(done, 2);
    expect(found([thing(2, { ...made, ...done })], feed)).toMatch(/feed does not tell|not in the order/);
  });

  it('lets a task be taken from a deleted user once', () => {
    const given = { ...made, assigneeId: userId };
    create([['1.1', thing(1)]]);
    change({ assigneeId: userId }, 2);
    history.see(call(), thing(2, given));
    const removed = new Map([[userId, 0]]);
    const feed = events(['created', 1], ['updated', 2], ['updated', 3]);
    expect(found([thing(3, made)], feed, removed)).toBe('');
    expect(found([thing(3, made)], feed)).toContain('nobody has made version 3');
    expect(found([thing(4, made)], [...feed, ...events(['updated', 4])], removed)).toContain(
      'nobody has made version 4',
    );
  });

  it('finds a list that lacks something or has it twice', () => {
    create([['1.1', thing(1)]]);
    history.walks.push({ calls: [call()], ids: [] });
    expect(found([thing(1)], events(['created', 1]))).toContain('which was there throughout');
    history.walks = [{ calls: [call()], ids: [id, id] }];
    expect(found([thing(1)], events(['created', 1]))).toContain('a list has 1 things twice');
  });

  it('finds a page of a feed that leaves something out', () => {
    create([['1.1', thing(1)]]);
    change(done, 2);
    history.pages.push({ call: call(), after: null, ids: ['7-1'] });
    expect(found([thing(2, { ...made, ...done })], createdAndUpdated)).toContain('the feed told 7-1 instead of 7-0');
  });

  it('finds who is refused a task although they are a user', () => {
    history.unknownAssignees.push({ call: call(), userIds: [userId] });
    expect(found([], [])).toContain('there were users');
    expect(found([], [], new Map([[userId, 0]]))).toBe('');
  });
});
