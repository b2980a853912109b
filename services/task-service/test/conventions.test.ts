import { holdsToConventions } from '../../runtime/test/conventions.ts';
import { taskHandlers } from '../src/handlers.ts';
import { Users } from '../src/users.ts';

holdsToConventions({
  name: 'task-service',
  handlers: (health) => taskHandlers(health, new Users('http://localhost:1')),
  create: '/tasks',
  body: { title: 'Buy milk', description: '2L whole' },
  text: 'title',
  list: '/tasks',
  listOperation: 'listTasks',
  table: 'task_service.tasks',
  prefix: '',
});
