import type { Database } from '@task-manager/runtime/database';
import { implement } from '@task-manager/runtime/handlers';
import { healthHandlers, type Health } from '@task-manager/runtime/health';
import { newId } from '@task-manager/runtime/ids';
import { readCursor, toPage } from '@task-manager/runtime/paging';
import type { operations } from '../../../generated/user-service.server.d.ts';
import { findUser, findUsers, insertUser } from './queries.ts';

/** What the user service does: one function for each operation of its contract. */
export const userHandlers = (db: Database, health: Health) =>
  implement<operations>()({
    ...healthHandlers(health),

    async registerUser({ body }) {
      const user = await insertUser(db, { id: newId(), ...body });
      if (!user) return { status: 409, problem: { detail: `Another user has the e-mail address ${body.email}.` } };
      return { status: 201, headers: { Location: `/users/${user.id}` }, body: user };
    },

    async listUsers({ query: { limit, cursor } }) {
      const users = await findUsers(db, readCursor('listUsers', cursor), limit + 1);
      return { status: 200, body: toPage('listUsers', users, limit) };
    },

    async getUser({ path: { userId } }) {
      const user = await findUser(db, userId);
      if (!user) return { status: 404, problem: { detail: 'There is no user with this id.' } };
      return { status: 200, body: user };
    },
  });
