import type { Database } from '@task-manager/runtime/database';
import { implement } from '@task-manager/runtime/handlers';
import { healthHandlers, type Health } from '@task-manager/runtime/health';
import { newId } from '@task-manager/runtime/ids';
import { readCursor, toPage } from '@task-manager/runtime/paging';
import type { operations } from '../../../generated/task-service.server.d.ts';
import { findTask, findTasks, insertTask } from './queries.ts';

/** What the task service does: one function for each operation of its contract. */
export const taskHandlers = (db: Database, health: Health) =>
  implement<operations>()({
    ...healthHandlers(health),

    async createTask({ body }) {
      const task = await insertTask(db, { id: newId(), ...body });
      return { status: 201, headers: { Location: `/tasks/${task.id}` }, body: task };
    },

    async listTasks({ query: { limit, cursor } }) {
      const tasks = await findTasks(db, readCursor('listTasks', cursor), limit + 1);
      return { status: 200, body: toPage('listTasks', tasks, limit) };
    },

    async getTask({ path: { taskId } }) {
      const task = await findTask(db, taskId);
      if (!task) return { status: 404, problem: { detail: 'There is no task with this id.' } };
      return { status: 200, body: task };
    },
  });
