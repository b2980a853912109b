import { preconditionFailed, versionsIn } from '@task-manager/runtime/http/etag';
import { feedHandler } from '@task-manager/runtime/postgres/feed';
import { implement } from '@task-manager/runtime/contract/handlers';
import { healthHandlers, type Health } from '@task-manager/runtime/http/health';
import type { components, operations } from '../../../generated/user-service.server.d.ts';
import { deleteUser, findUser, findUsers, insertUser, updateUser } from './queries.ts';

type EventType = components['schemas']['UserEvent']['type'];

/** One function for each operation of the contract. */
export const userHandlers = (health: Health) =>
  implement<operations>()({
    ...healthHandlers(health),

    async registerUser({ body, db }) {
      const user = await insertUser(db, body);
      if (!user) return emailTaken(body.email);
      return { status: 201, headers: { Location: `/users/${user.id}` }, body: user };
    },

    async listUsers({ query, db }) {
      return { status: 200, body: await findUsers(db, query) };
    },

    listUserEvents: feedHandler<'/users', EventType>('/users'),

    async getUser({ path: { userId }, db }) {
      const user = await findUser(db, userId);
      return user ? { status: 200, body: user } : notFound;
    },

    async updateUser({ path: { userId }, headers, body, db }) {
      const changed = await updateUser(db, userId, body, versionsIn(headers['If-Match']));
      if (changed === 'email taken') return emailTaken(body.email);
      if (changed === 'not found') return notFound;
      return changed === 'stale' ? preconditionFailed(headers['If-Match']) : { status: 200, body: changed };
    },

    async deleteUser({ path: { userId }, headers, db }) {
      const outcome = await deleteUser(db, userId, versionsIn(headers['If-Match']));
      if (outcome === 'not found') return notFound;
      return outcome === 'stale' ? preconditionFailed(headers['If-Match']) : { status: 204 };
    },
  });

const notFound = { status: 404 as const, problem: { detail: 'There is no user with this id.' } };

function emailTaken(email = '') {
  const detail = `Another user has the email address ${email}.`;
  return { status: 409 as const, problem: { type: 'email-taken', detail } };
}
