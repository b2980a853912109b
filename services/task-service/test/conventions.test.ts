import { holdsToConventions } from '../../runtime/test/conventions.ts';
import { taskHandlers } from '../src/handlers.ts';

holdsToConventions({
  name: 'task-service',
  handlers: taskHandlers,
  create: '/tasks',
  body: { title: 'Buy milk', description: '2L whole' },
  text: 'title',
  list: '/tasks',
  listOperation: 'listTasks',
  table: 'task_service.tasks',
  prefix: '',
});
