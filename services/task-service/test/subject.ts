/** The task service as a subject of the shared suites. Importing it starts the stub of the user service. */
import { afterAll, beforeAll } from '@jest/globals';
import { unknownId, type Subject } from '@task-manager/testing/subject';
import { taskHandlers } from '../src/handlers.ts';
import { createUserClient, UserDirectory } from '../src/user-client.ts';
import { serveUsers } from './stub-users.ts';

let users: Awaited<ReturnType<typeof serveUsers>>;
beforeAll(async () => {
  users = await serveUsers();
});
afterAll(() => {
  users.stop();
});

export const subject: Subject = {
  name: 'task-service',
  handlers: (health) => taskHandlers(health, new UserDirectory(createUserClient(users.url))),
  create: '/tasks',
  body: { title: 'Buy milk', description: '2L whole' },
  text: 'title',
  defaults: { status: 'todo', priority: 'normal', dueDate: null, assigneeId: null, labels: [] },
  batch: '/tasks/batch',
  list: '/tasks',
  listOperation: 'listTasks',
  events: { created: 'task.created', changed: 'task.updated', deleted: 'task.deleted' },
  table: 'task_service.tasks',
  prefix: '',
  conflicts: async () => ({ title: 'Prepare the review', assigneeId: unknownId }),
};
