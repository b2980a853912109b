import { describe, expect, it } from '@jest/globals';
import { api, createTask } from './task-api.ts';

describe('getTask', () => {
  it('returns the task', async () => {
    const task = await createTask('Buy milk');
    const { data } = await api.GET('/tasks/{taskId}', { params: { path: { taskId: task.id } } });
    expect(data).toEqual(task);
  });

  it('returns 404 when the task does not exist', async () => {
    const taskId = '01939c2e-7a41-7c3e-9d5b-2f1c8a6e4b70';
    const { error } = await api.GET('/tasks/{taskId}', { params: { path: { taskId } } });
    expect(error).toMatchObject({ type: '/problems/not-found', status: 404, title: 'Not found' });
  });

  it('returns 404 when the task was deleted', async () => {
    const { id } = await createTask('Delete the old invoices');
    const params = { path: { taskId: id } };
    expect((await api.DELETE('/tasks/{taskId}', { params })).response.status).toBe(204);
    expect((await api.GET('/tasks/{taskId}', { params })).error).toMatchObject({ status: 404 });
    expect((await api.GET('/tasks', { params: { query: { q: 'Delete' } } })).data?.items).toEqual([]);
  });

  it('returns 400 when the id is invalid', async () => {
    for (const taskId of ['1', "' or 1=1", '01939c2e7a417c3e9d5b2f1c8a6e4b70']) {
      const { error } = await api.GET('/tasks/{taskId}', { params: { path: { taskId } } });
      expect(error).toMatchObject({
        status: 400,
        errors: expect.arrayContaining([expect.objectContaining({ pointer: '/path/taskId' })]),
      });
    }
  });
});
