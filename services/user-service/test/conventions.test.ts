import { editsSafely } from '../../runtime/test/conditional.ts';
import { holdsToConventions, type Subject } from '../../runtime/test/conventions.ts';
import { publishesItsFeed } from '../../runtime/test/feed.ts';
import { sendsItsHeaders } from '../../runtime/test/headers.ts';
import { repeatsSafely } from '../../runtime/test/idempotency.ts';
import { userHandlers } from '../src/handlers.ts';

const subject: Subject = {
  name: 'user-service',
  handlers: userHandlers,
  create: '/register',
  body: { name: 'Alice', email: 'alice@example.com' },
  text: 'name',
  list: '/users',
  listOperation: 'listUsers',
  table: 'user_service.users',
  prefix: '/user',
};

holdsToConventions(subject);
editsSafely(subject);
repeatsSafely(subject);
publishesItsFeed(subject);
sendsItsHeaders(subject);
