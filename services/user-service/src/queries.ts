/** Every SQL statement of the user service, one function each. */
import { batched, inOrder, shared } from '@task-manager/runtime/postgres/batch';
import { missed } from '@task-manager/runtime/http/etag';
import { sqlState, type Queryable, type Statement } from '@task-manager/runtime/postgres/database';
import { newId, timeOf } from '@task-manager/runtime/ids';
import { readCursor, toPage, type Page } from '@task-manager/runtime/postgres/cursor';
import type { components, operations } from '../../../generated/user-service.server.d.ts';

type User = components['schemas']['User'];
type NewUser = components['schemas']['NewUser'];
type UserChanges = components['schemas']['UserChanges'];
type ListQuery = operations['listUsers']['parameters']['query'];

const columns = `id, name, email, created_at as "createdAt", updated_at as "updatedAt", version`;

/**
 * Stores a user, who was created when their id was made, and the event that tells of it; undefined when another has the
 * e-mail address. In one statement with the others that come at the same time.
 */
export const insertUser = batched(async (db, newUsers: NewUser[]): Promise<(User | undefined)[]> => {
  const users = newUsers.map(toUser);
  const stored = await db.query<{ id: string }>({
    name: 'insert-users',
    text: `with "user" as (
             insert into user_service.users (id, name, email, created_at, updated_at)
             select id, name, email, created_at, created_at
             from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) as new (id, name, email, created_at)
             on conflict (lower(email)) do nothing
             returning id, version
           ),
           event as (
             insert into user_service.events (type, subject, version) select 'user.registered', id, version from "user"
           )
           select id from "user"`,
    values: [
      users.map(({ id }) => id),
      users.map(({ name }) => name),
      users.map(({ email }) => email),
      users.map(({ createdAt }) => createdAt),
    ],
  });
  const ids = new Set(stored.map(({ id }) => id));
  return users.map((user) => (ids.has(user.id) ? user : undefined));
});

function toUser({ name, email }: NewUser): User {
  const id = newId();
  const createdAt = timeOf(id).toISOString();
  return { id, name, email, createdAt, updatedAt: createdAt, version: 1 };
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
      text: `with changed as (
               update user_service.users set
                 name = coalesce($2, name),
                 email = coalesce($3, email),
                 updated_at = greatest(now(), updated_at),
                 version = version + 1,
                 event_transaction_id = greatest(pg_current_xact_id(), event_transaction_id)
               where id = $1 and ($4::text[] is null or version::text = any ($4))
               returning *
             ),
             "user" as (
               select ${columns} from changed
             ),
             event as (
               insert into user_service.events (transaction_id, type, subject, version)
               select event_transaction_id, 'user.updated', id, version from changed
             )
             select "user".*, found
             from (select exists (select from user_service.users where id = $1) as found) as facts
             left join "user" on true`,
      values: [id, name, email, versions],
    });
    const { found, ...user } = row as NonNullable<typeof row>;
    // Where the left join finds nothing, all its columns are null.
    return (user.id as string | null) === null ? missed(found, versions) : user;
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
             returning id, version, greatest(pg_current_xact_id(), event_transaction_id) as event_transaction_id
           ),
           event as (
             insert into user_service.events (transaction_id, type, subject, version)
             select event_transaction_id, 'user.deleted', id, version from "user"
           )
           select exists (select from user_service.users where id = $1) as found, exists (select from "user") as deleted`,
    values: [id, versions],
  });
  return row?.deleted ? 'deleted' : missed(row?.found, versions);
}

/**
 * One page of the users that fit the filters, newest first: read once for all who ask for it at the same time.
 *
 * @throws {InvalidRequest} when the cursor was given for other filters.
 */
export const findUsers = shared(async (db, { limit, cursor, ...filters }: ListQuery): Promise<Page<User>> => {
  const list = ['listUsers', filters];
  const before = readCursor(list, cursor)?.id ?? lastId;
  const near = await db.query<User>(selectNear(filters, before, limit + 1));
  const isWhole = near.length > limit || filters.q === undefined;
  return toPage(list, isWhole ? near : await db.query<User>(selectAndSort(filters, before, limit + 1)), limit);
});

/** The last there can be. */
const lastId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * How many users are looked at, newest first, before all who fit are gathered and sorted instead. How many have these words
 * PostgreSQL can only guess; so it is not asked to choose.
 */
const reach = 8000;

type Filters = Pick<ListQuery, 'q' | 'email'>;

/** Those who fit among the next users. */
function selectNear({ q, email }: Filters, before: string, limit: number): Statement {
  return {
    name: ['find-users', email && 'email', q && 'q'].filter(Boolean).join(' '),
    text: `select ${columns}
           from (
             select * from user_service.users
             where id < $1 ${email ? 'and lower(email) = lower($3)' : ''}
             order by id desc
             limit ${reach}
           ) as "user"
           ${q ? `where search @@ websearch_to_tsquery('simple', $${email ? 4 : 3})` : ''}
           order by id desc
           limit $2`,
    values: [before, limit, ...[email, q].filter((value) => value !== undefined)],
  };
}

/** All who fit, sorted: behind an offset PostgreSQL looks for them by the filters alone. */
function selectAndSort({ q, email }: Filters, before: string, limit: number): Statement {
  return {
    text: `select ${columns}
           from (
             select * from user_service.users
             where search @@ websearch_to_tsquery('simple', $3) ${email ? 'and lower(email) = lower($4)' : ''}
             offset 0
           ) as "user"
           where id < $1
           order by id desc
           limit $2`,
    values: [before, limit, q, ...(email ? [email] : [])],
  };
}

/** Finds a user, in one statement with the others who are asked for at the same time. */
export const findUser = batched(async (db, ids: string[]) => {
  const users = await db.query<User>({
    name: 'find-users-by-id',
    text: `select ${columns} from user_service.users where id = any ($1)`,
    values: [ids],
  });
  return inOrder(ids, users);
});
