import { holdsToConventions } from '../../runtime/test/conventions.ts';
import { userHandlers } from '../src/handlers.ts';

holdsToConventions({
  name: 'user-service',
  handlers: userHandlers,
  create: '/register',
  body: { name: 'Alice', email: 'alice@example.com' },
  text: 'name',
  list: '/users',
  listOperation: 'listUsers',
  table: 'user_service.users',
  prefix: '/user',
});
