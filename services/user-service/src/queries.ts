/** Every SQL statement of the user service, one function each. */
import { sqlState, type Queryable } from '@task-manager/runtime/database';
import { newId, timeOf } from '@task-manager/runtime/ids';
import { readCursor, toPage, type Page } from '@task-manager/runtime/paging';
import type { components, operations } from '../../../generated/user-service.server.d.ts';

type User = components['schemas']['User'];
type NewUser = components['schemas']['NewUser'];
type UserChanges = components['schemas']['UserChanges'];
type ListQuery = operations['listUsers']['parameters']['query'];

const columns = `id, name, email, created_at as "createdAt", updated_at as "updatedAt", version`;

/**
 * Stores a user, who was created when their id was made, and the event that tells of it; undefined when another has the
 * e-mail address.
 */
export async function insertUser(db: Queryable, { name, email }: NewUser): Promise<User | undefined> {
  const id = newId();
  const [user] = await db.query<User>({
    name: 'insert-user',
    text: `with "user" as (
             insert into user_service.users (id, name, email, created_at, updated_at)
             values ($1, $2, $3, $4, $4)
             on conflict (lower(email)) do nothing
             returning ${columns}
           ),
           event as (
             insert into user_service.events (type, subject, version) select 'user.registered', id, version from "user"
           )
           select * from "user"`,
    values: [id, name, email, timeOf(id)],
  });
  return user;
}

/** Changes a user who has one of `versions` (null is any), and writes the event that tells of it. */
export async function updateUser(
  db: Queryable,
  id: string,
  { name, email }: UserChanges,
  versions: string[] | null,
): Promise<User | 'not found' | 'stale' | 'email taken'> {
  try {
    const [row] = await db.query<User & { found: boolean }>({
      name: 'update-user',
      text: `with "user" as (
               update user_service.users set
                 name = coalesce($2, name),
                 email = coalesce($3, email),
                 updated_at = greatest(now(), updated_at),
                 version = version + 1
               where id = $1 and ($4::text[] is null or version::text = any ($4))
               returning ${columns}
             ),
             event as (
               insert into user_service.events (type, subject, version) select 'user.updated', id, version from "user"
             )
             select "user".*, found
             from (select exists (select from user_service.users where id = $1) as found) as facts
             left join "user" on true`,
      values: [id, name, email, versions],
    });
    const { found, ...user } = row as NonNullable<typeof row>;
    if (!found) return 'not found';
    // Without a match every column of the left join is null.
    return (user.id as string | null) === null ? 'stale' : user;
  } catch (error) {
    if (sqlState(error) === uniqueViolation) return 'email taken';
    throw error;
  }
}

const uniqueViolation = '23505';

/** Deletes a user who has one of `versions` (null is any), and writes the event that tells of it. */
export async function deleteUser(
  db: Queryable,
  id: string,
  versions: string[] | null,
): Promise<'deleted' | 'not found' | 'stale'> {
  const [row] = await db.query<{ found: boolean; deleted: boolean }>({
    name: 'delete-user',
    text: `with "user" as (
             delete from user_service.users
             where id = $1 and ($2::text[] is null or version::text = any ($2))
             returning id, version
           ),
           event as (
             insert into user_service.events (type, subject, version) select 'user.deleted', id, version from "user"
           )
           select exists (select from user_service.users where id = $1) as found, exists (select from "user") as deleted`,
    values: [id, versions],
  });
  if (row?.deleted) return 'deleted';
  return row?.found ? 'stale' : 'not found';
}

/**
 * One page of the users that fit the filters, newest first.
 *
 * @throws {InvalidRequest} when the cursor was given for other filters.
 */
export async function findUsers(db: Queryable, { limit, cursor, ...filters }: ListQuery): Promise<Page<User>> {
  const list = ['listUsers', filters];
  const values: unknown[] = [limit + 1];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const conditions: string[] = [];
  const after = readCursor(list, cursor);
  if (filters.q !== undefined) conditions.push(`search @@ websearch_to_tsquery('simple', ${bind(filters.q)})`);
  if (filters.email !== undefined) conditions.push(`lower(email) = lower(${bind(filters.email)})`);
  if (after) conditions.push(`id < ${bind(after.id)}`);
  const rows = await db.query<User>({
    // Which index is best for words depends on the words: then it is planned anew each time.
    ...(filters.q === undefined && { name: ['find-users', ...Object.keys(filters), after ? 'after' : ''].join(' ') }),
    text: `select ${columns}
           from user_service.users
           ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''}
           order by id desc
           limit $1`,
    values,
  });
  return toPage(list, rows, limit);
}

export async function findUser(db: Queryable, id: string): Promise<User | undefined> {
  const [user] = await db.query<User>({
    name: 'find-user',
    text: `select ${columns} from user_service.users where id = $1`,
    values: [id],
  });
  return user;
}
