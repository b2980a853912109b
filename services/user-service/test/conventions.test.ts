import { editsSafely } from '../../runtime/test/conditional.ts';
import { holdsToConventions } from '../../runtime/test/conventions.ts';
import { publishesItsFeed } from '../../runtime/test/feed.ts';
import { readsOnlyHttp } from '../../runtime/test/framing.ts';
import { sendsItsHeaders } from '../../runtime/test/headers.ts';
import { repeatsSafely } from '../../runtime/test/idempotency.ts';
import { answersAlikeInTheFastLane } from '../../runtime/test/lane.ts';
import { limitsItsClients } from '../../runtime/test/limits.ts';
import { refusesWhatIsTooMuch } from '../../runtime/test/overload.ts';
import type { Subject } from '../../runtime/test/subject.ts';
import { userHandlers } from '../src/handlers.ts';

const taken = { name: 'Grace', email: 'taken@example.com' };

const subject: Subject = {
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
    // It may be taken already.
    const headers = { 'Content-Type': 'application/json' };
    await fetch(`${base}/register`, { method: 'POST', headers, body: JSON.stringify(taken) });
    return { ...taken, email: taken.email.toUpperCase() };
  },
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
