/** Every SQL statement of the user service, one function each. */
import type { Database } from '@task-manager/runtime/database';
import { timeOf } from '@task-manager/runtime/ids';
import type { components } from '../../../generated/user-service.server.d.ts';

type User = components['schemas']['User'];
type NewUser = components['schemas']['NewUser'];

const columns = `id, name, email, created_at as "createdAt"`;

/** Stores a user, who was created when their id was made; undefined when another has the e-mail address. */
export async function insertUser(
  db: Database,
  { id, name, email }: NewUser & { id: string },
): Promise<User | undefined> {
  const [user] = await db.query<User>({
    name: 'insert-user',
    text: `insert into user_service.users (id, name, email, created_at)
           values ($1, $2, $3, $4)
           on conflict (lower(email)) do nothing
           returning ${columns}`,
    values: [id, name, email, timeOf(id)],
  });
  return user;
}

/** At most `limit` users, newest first, of those registered before the user `before`, or of all. */
export async function findUsers(db: Database, before: string | null, limit: number): Promise<User[]> {
  return db.query<User>({
    name: before ? 'find-users-before' : 'find-users',
    text: `select ${columns}
           from user_service.users
           ${before ? 'where id < $2' : ''}
           order by id desc
           limit $1`,
    values: before ? [limit, before] : [limit],
  });
}

export async function findUser(db: Database, id: string): Promise<User | undefined> {
  const [user] = await db.query<User>({
    name: 'find-user',
    text: `select ${columns} from user_service.users where id = $1`,
    values: [id],
  });
  return user;
}
