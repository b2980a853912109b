import { afterAll, beforeAll } from '@jest/globals';
import { editsSafely } from '../../runtime/test/conditional.ts';
import { holdsToConventions } from '../../runtime/test/conventions.ts';
import { publishesItsFeed } from '../../runtime/test/feed.ts';
import { readsOnlyHttp } from '../../runtime/test/framing.ts';
import { sendsItsHeaders } from '../../runtime/test/headers.ts';
import { repeatsSafely } from '../../runtime/test/idempotency.ts';
import { answersAlikeInTheFastLane } from '../../runtime/test/lane.ts';
import { limitsItsClients } from '../../runtime/test/limits.ts';
import { refusesWhatIsTooMuch } from '../../runtime/test/overload.ts';
import { absentId, type Subject } from '../../runtime/test/subject.ts';
import { taskHandlers } from '../src/handlers.ts';
import { Users } from '../src/users.ts';
import { serveUsers } from './stub-users.ts';

let users: Awaited<ReturnType<typeof serveUsers>>;
beforeAll(async () => {
  users = await serveUsers();
});
afterAll(() => {
  users.stop();
});

const subject: Subject = {
  name: 'task-service',
  handlers: (health) => taskHandlers(health, new Users(users.url)),
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
  conflicts: async () => ({ title: 'Given to nobody', assigneeId: absentId }),
};

holdsToConventions(subject);
readsOnlyHttp(subject);
editsSafely(subject);
repeatsSafely(subject);
publishesItsFeed(subject);
sendsItsHeaders(subject);
answersAlikeInTheFastLane(subject);
limitsItsClients(subject);
refusesWhatIsTooMuch(subject);
