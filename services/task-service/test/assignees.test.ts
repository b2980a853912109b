/** Assignees with a stub of the user service; follow-users.test.ts runs both services. */
import { describe, expect, it } from '@jest/globals';
import { unknownId } from '@task-manager/testing/subject';
import { findUsersCursor, insertTasks, moveUsersCursor, unassign, updateTask } from '../src/queries.ts';
import { alice, bob } from './stub-users.ts';
import { api, service } from './task-api.ts';

async function createTask(assigneeId: string | null) {
  const { data } = await api.POST('/tasks', { body: { title: 'Buy milk', assigneeId } });
  if (!data) throw new Error('no task was created');
  return data;
}

function problemOf(id: string) {
  return {
    type: '/problems/unknown-assignee',
    status: 409,
    detail: `There is no user with the id ${id}.`,
  };
}

describe('unknown assignee', () => {
  it('returns 409 and stores nothing when the assignee of a new task does not exist, also in a batch', async () => {
    const before = await api.GET('/tasks');
    const { error } = await api.POST('/tasks', { body: { title: 'Buy milk', assigneeId: unknownId } });
    expect(error).toMatchObject(problemOf(unknownId));
    const items = [
      { title: 'Buy milk', assigneeId: bob },
      { title: 'Buy bread' },
      { title: 'Buy tea', assigneeId: unknownId },
    ];
    const { error: batchError } = await api.POST('/tasks/batch', { body: { items } });
    expect(batchError).toMatchObject({ ...problemOf(unknownId), detail: 'The assignee of a task does not exist.' });
    expect((await api.GET('/tasks')).data).toEqual(before.data);
  });

  it('returns 409 and leaves the task unchanged when the new assignee does not exist', async () => {
    const task = await createTask(bob);
    const params = { path: { taskId: task.id } };
    const { error } = await api.PATCH('/tasks/{taskId}', {
      params,
      body: { title: 'Buy bread', assigneeId: unknownId },
    });
    expect(error).toMatchObject(problemOf(unknownId));
    expect((await api.GET('/tasks/{taskId}', { params })).data).toEqual(task);
  });
});

describe('assignee in upper case', () => {
  it('is the same user in a body, a batch, a patch, a filter, a cursor and a retry, and is returned in lower case', async () => {
    const upper = alice.toUpperCase();
    const headers = { 'Idempotency-Key': 'upper case' };
    const body = { title: 'Buy milk', assigneeId: upper };
    const { data: task, response } = await api.POST('/tasks', { body, params: { header: headers } });
    expect(task).toMatchObject({ assigneeId: alice });
    const retried = await api.POST('/tasks', { body: { ...body, assigneeId: alice }, params: { header: headers } });
    expect([retried.data, retried.response.headers.get('Idempotent-Replayed')]).toEqual([task, 'true']);
    expect(response.headers.get('Idempotent-Replayed')).toBeNull();
    const { data: batch } = await api.POST('/tasks/batch', { body: { items: [body, { ...body, assigneeId: null }] } });
    expect(batch?.items.map(({ assigneeId }) => assigneeId)).toEqual([alice, null]);
    const unassigned = await createTask(null);
    const params = { path: { taskId: unassigned.id.toUpperCase() } };
    const { data: changed } = await api.PATCH('/tasks/{taskId}', { params, body: { assigneeId: upper } });
    expect(changed).toMatchObject({ id: unassigned.id, assigneeId: alice });
    const { data: first } = await api.GET('/tasks', { params: { query: { assigneeId: upper, limit: 1 } } });
    const cursor = first?.nextCursor ?? '';
    const { data: second } = await api.GET('/tasks', { params: { query: { assigneeId: alice, limit: 2, cursor } } });
    const ids = [...(first?.items ?? []), ...(second?.items ?? [])].map(({ id }) => id);
    expect(ids).toEqual([changed?.id, batch?.items[0]?.id, task?.id]);
    const { error } = await api.POST('/tasks', { body: { ...body, assigneeId: unknownId.toUpperCase() } });
    expect(error).toMatchObject(problemOf(unknownId));
  });
});

describe('unassign', () => {
  it('unassigns every task of a deleted user with one event each and rejects new assignments to the user', async () => {
    const { db } = service;
    const inserted = await insertTasks(
      db,
      Array.from({ length: 600 }, (_, index) => ({
        ...{ title: `Task ${index} of Alice`, description: '', status: 'todo', priority: 'normal', dueDate: null },
        ...{ assigneeId: alice, labels: [] },
      })),
    );
    const [ofAlice, ofBob, unassigned] = [await createTask(alice), await createTask(bob), await createTask(null)];
    await db.transaction((transaction) => unassign(transaction, [alice]));
    const ids = [...(inserted ?? []), ofAlice].map(({ id }) => id);
    const { rows: tasks } = await db.pool.query(
      'select assignee_id, version, updated_at > created_at as later from task_service.tasks where id = any ($1)',
      [ids],
    );
    expect(tasks).toEqual(ids.map(() => ({ assignee_id: null, version: 2, later: true })));
    const { rows: events } = await db.pool.query(
      `select subject from task_service.events where type = 'task.updated' and version = 2 and subject = any ($1)`,
      [ids],
    );
    expect(events.map(({ subject }: { subject: string }) => subject).sort()).toEqual(ids.sort());
    for (const { id, assigneeId, version } of [ofBob, unassigned]) {
      const { data } = await api.GET('/tasks/{taskId}', { params: { path: { taskId: id } } });
      expect(data).toMatchObject({ assigneeId, version });
    }
    // The stub still knows Alice, as a replica may that has the user in its cache.
    const { error } = await api.POST('/tasks', { body: { title: 'Buy milk', assigneeId: alice } });
    expect(error).toMatchObject(problemOf(alice));
    expect(await updateTask(db, unassigned.id, { assigneeId: alice }, null)).toBe('unknown assignee');
    expect(await updateTask(db, unknownId, { assigneeId: alice }, null)).toBe('not found');
    await db.transaction((transaction) => unassign(transaction, [alice]));
  });
});

describe('moveUsersCursor', () => {
  it('moves the cursor for only one of two replicas that apply the same events', async () => {
    const { db } = service;
    expect(await findUsersCursor(db)).toBeNull();
    expect(await moveUsersCursor(db, 'elsewhere', '1-1')).toBe(false);
    expect(await moveUsersCursor(db, null, '1-1')).toBe(true);
    expect(await moveUsersCursor(db, null, '1-2')).toBe(false);
    expect(await findUsersCursor(db)).toBe('1-1');
    expect(await moveUsersCursor(db, '1-1', '1-2')).toBe(true);
    expect(await findUsersCursor(db)).toBe('1-2');
  });
});
