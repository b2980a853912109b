import { editsSafely } from '../../runtime/test/conditional.ts';
import { holdsToConventions, type Subject } from '../../runtime/test/conventions.ts';
import { publishesItsFeed } from '../../runtime/test/feed.ts';
import { sendsItsHeaders } from '../../runtime/test/headers.ts';
import { repeatsSafely } from '../../runtime/test/idempotency.ts';
import { taskHandlers } from '../src/handlers.ts';
import { Users } from '../src/users.ts';

const subject: Subject = {
  name: 'task-service',
  handlers: (health) => taskHandlers(health, new Users('http://localhost:1')),
  create: '/tasks',
  body: { title: 'Buy milk', description: '2L whole' },
  text: 'title',
  list: '/tasks',
  listOperation: 'listTasks',
  table: 'task_service.tasks',
  prefix: '',
};

holdsToConventions(subject);
editsSafely(subject);
repeatsSafely(subject);
publishesItsFeed(subject);
sendsItsHeaders(subject);
