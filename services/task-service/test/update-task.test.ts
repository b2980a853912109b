import { describe, expect, it } from '@jest/globals';
import type { components } from '../../../generated/task-service.d.ts';
import { alice, bob } from './stub-users.ts';
import { api, contract, createTask } from './task-api.ts';

describe('updateTask', () => {
  async function update(taskId: string, body: components['schemas']['TaskChanges']) {
    return (await api.PATCH('/tasks/{taskId}', { params: { path: { taskId } }, body })).data;
  }

  it('sets completedAt when the status becomes done, keeps it while done and clears it when it is reopened', async () => {
    const { id } = await createTask('Buy milk');
    const done = await update(id, { status: 'done' });
    expect(done).toMatchObject({ status: 'done', completedAt: done?.updatedAt, version: 2 });
    const renamed = await update(id, { title: 'Buy oat milk', status: 'done' });
    expect(renamed?.completedAt).toBe(done?.completedAt);
    expect(await update(id, { status: 'in-progress' })).toMatchObject({ completedAt: null });
  });

  it('accepts every status and priority and returns 400 when the due date is invalid', async () => {
    const { Status, Priority } = contract.components.schemas;
    const { id } = await createTask('Buy milk');
    for (const status of Status.enum) expect((await update(id, { status }))?.status).toBe(status);
    for (const priority of Priority.enum) expect((await update(id, { priority }))?.priority).toBe(priority);
    for (const dueDate of ['0001-01-01', '2024-02-29', '9999-12-31']) {
      expect((await update(id, { dueDate }))?.dueDate).toBe(dueDate);
    }
    const path = { taskId: id };
    for (const dueDate of ['2026-02-30', '0000-01-01', '2026-12-24T00:00:00Z']) {
      const { error } = await api.PATCH('/tasks/{taskId}', { params: { path }, body: { dueDate } });
      const errors = expect.arrayContaining([expect.objectContaining({ pointer: '/body/dueDate' })]);
      expect(error).toMatchObject({ status: 400, errors });
    }
    expect((await update(id, {}))?.dueDate).toBe('9999-12-31');
  });

  it('assigns, reassigns and unassigns a task', async () => {
    const { id } = await createTask('Buy milk');
    for (const assigneeId of [alice, bob, null]) {
      expect(await update(id, { assigneeId })).toMatchObject({ assigneeId });
    }
  });

  it('clears nullable fields with null, replaces all labels and returns 400 when a field is not nullable', async () => {
    const body = { title: 'Buy milk', dueDate: '2026-12-24', labels: ['a', 'b'] };
    const { data: task } = await api.POST('/tasks', { body });
    const id = task?.id ?? '';
    expect(await update(id, { dueDate: null })).toMatchObject({ dueDate: null, labels: ['a', 'b'] });
    expect(await update(id, { labels: ['c'] })).toMatchObject({ labels: ['c'], title: 'Buy milk' });
    expect(await update(id, { labels: [] })).toMatchObject({ labels: [] });
    for (const field of ['title', 'description', 'status', 'priority', 'labels']) {
      const { error } = await api.PATCH('/tasks/{taskId}', {
        params: { path: { taskId: id } },
        body: { [field]: null },
      });
      const errors = expect.arrayContaining([expect.objectContaining({ pointer: `/body/${field}` })]);
      expect(error).toMatchObject({ status: 400, errors });
    }
  });
});
