/** The user service as a subject of the shared suites. */
import type { Subject } from '@task-manager/testing/subject';
import { userHandlers } from '../src/handlers.ts';

const taken = { name: 'Grace', email: 'taken@example.com' };

export const subject: Subject = {
  name: 'user-service',
  handlers: userHandlers,
  create: '/register',
  body: { name: 'Alice', email: 'alice@example.com' },
  text: 'name',
  defaults: {},
  list: '/users',
  listOperation: 'listUsers',
  events: { created: 'user.registered', changed: 'user.updated', deleted: 'user.deleted' },
  table: 'user_service.users',
  prefix: '/user',
  async conflicts(base) {
    // Returns 409 when an earlier call has registered the user.
    const headers = { 'Content-Type': 'application/json' };
    await fetch(`${base}/register`, { method: 'POST', headers, body: JSON.stringify(taken) });
    return { ...taken, email: taken.email.toUpperCase() };
  },
};
