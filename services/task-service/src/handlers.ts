import { preconditionFailed, versionsIn } from '@task-manager/runtime/http/etag';
import { feedHandler } from '@task-manager/runtime/postgres/feed';
import { implement } from '@task-manager/runtime/contract/handlers';
import { healthHandlers, type Health } from '@task-manager/runtime/http/health';
import type { components, operations } from '../../../generated/task-service.server.d.ts';
import { findTasks } from './list-queries.ts';
import { deleteTask, findTask, insertTask, insertTasks, updateTask } from './queries.ts';
import type { UserDirectory } from './user-client.ts';

type EventType = components['schemas']['TaskEvent']['type'];

/** One function for each operation of the contract. */
export const taskHandlers = (health: Health, users: UserDirectory) =>
  implement<operations>()({
    ...healthHandlers(health),

    async createTask({ body, db }) {
      const task = (await users.exist([body.assigneeId])) && (await insertTask(db, body));
      if (!task) return unknownAssignee(body.assigneeId);
      return { status: 201, headers: { Location: `/tasks/${task.id}` }, body: task };
    },

    async createTasks({ body: { items }, db }) {
      const created = (await users.exist(items.map(({ assigneeId }) => assigneeId))) && (await insertTasks(db, items));
      return created ? { status: 201, body: { items: created } } : unknownAssignee();
    },

    async listTasks({ query, db }) {
      return { status: 200, body: await findTasks(db, query) };
    },

    listTaskEvents: feedHandler<'/tasks', EventType>('/tasks'),

    async getTask({ path: { taskId }, db }) {
      const task = await findTask(db, taskId);
      return task ? { status: 200, body: task } : notFound;
    },

    async updateTask({ path: { taskId }, headers, body, db }) {
      if (!(await users.exist([body.assigneeId]))) return unknownAssignee(body.assigneeId);
      const changed = await updateTask(db, taskId, body, versionsIn(headers['If-Match']));
      if (changed === 'unknown assignee') return unknownAssignee(body.assigneeId);
      if (changed === 'not found') return notFound;
      return changed === 'stale' ? preconditionFailed(headers['If-Match']) : { status: 200, body: changed };
    },

    async deleteTask({ path: { taskId }, headers, db }) {
      const outcome = await deleteTask(db, taskId, versionsIn(headers['If-Match']));
      if (outcome === 'not found') return notFound;
      return outcome === 'stale' ? preconditionFailed(headers['If-Match']) : { status: 204 };
    },
  });

const notFound = { status: 404 as const, problem: { detail: 'There is no task with this id.' } };

function unknownAssignee(id?: string | null) {
  const detail = id ? `There is no user with the id ${id}.` : 'The assignee of a task does not exist.';
  return { status: 409 as const, problem: { type: 'unknown-assignee', detail } };
}
