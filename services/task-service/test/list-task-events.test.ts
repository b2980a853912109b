import { describe, expect, it } from '@jest/globals';
import { deleteTask, updateTask } from '../src/queries.ts';
import { api, createTask, service } from './task-api.ts';

describe('listTaskEvents', () => {
  it('returns the events of a task in version order when an older transaction changes the task last', async () => {
    const { data: before } = await api.GET('/tasks/feed', { params: { query: { cursor: 'latest', limit: 1 } } });
    await service.db.transaction(async (older) => {
      await older.query({ text: 'select pg_current_xact_id()' });
      const { id: taskId } = await createTask('Buy milk');
      await api.PATCH('/tasks/{taskId}', { params: { path: { taskId } }, body: { status: 'done' } });
      await updateTask(older, taskId, { title: 'Buy oat milk' }, null);
      await deleteTask(older, taskId, null);
    });
    const query = { limit: 100, ...(before?.nextCursor && { cursor: before.nextCursor }) };
    const { data } = await api.GET('/tasks/feed', { params: { query } });
    expect(data?.items.map(({ type, data: { version } }) => `${type} ${version}`)).toEqual([
      'task.created 1',
      'task.updated 2',
      'task.updated 3',
      'task.deleted 3',
    ]);
  });
});
