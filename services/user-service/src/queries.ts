/** The SQL statements of the user service, one function each. */
import { batched, inOrder, shared } from '@task-manager/runtime/postgres/batch';
import { mismatch } from '@task-manager/runtime/http/etag';
import { sqlState, type Queryable, type Statement } from '@task-manager/runtime/postgres/database';
import { newId, timeOf } from '@task-manager/runtime/ids';
import { readCursor, toPage, type Page } from '@task-manager/runtime/postgres/cursor';
import { toSearch, toSearchChange, toSearchQuery } from '@task-manager/runtime/postgres/search';
import type { components, operations } from '../../../generated/user-service.server.d.ts';

type User = components['schemas']['User'];
type NewUser = components['schemas']['NewUser'];
type UserChanges = components['schemas']['UserChanges'];
type ListQuery = operations['listUsers']['parameters']['query'];

const columns = `id, name, email, created_at as "createdAt", updated_at as "updatedAt", version`;

/** Inserts a user and the event, batched with concurrent calls; undefined when the email address is taken. */
export const insertUser = batched(async (db, newUsers: NewUser[]): Promise<(User | undefined)[]> => {
  const users = newUsers.map(toUser);
  const stored = await db.query<{ id: string }>({
    name: 'insert-users',
    text: `with "user" as (
             insert into user_service.users (id, name, email, created_at, updated_at, search)
             select id, name, email, created_at, created_at, search
             from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::tsvector[])
               as new (id, name, email, created_at, search)
             on conflict do nothing
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
      users.map(({ name, email }) => toSearch(name, email)),
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

/** Updates a user with one of `versions` (null is any), and inserts the event. */
export async function updateUser(
  db: Queryable,
  id: string,
  { name, email }: UserChanges,
  versions: string[] | null,
): Promise<User | 'not found' | 'stale' | 'email taken'> {
  const { kept, words } = toSearchChange(name, email);
  try {
    const [row] = await db.query<User & { found: boolean }>({
      name: 'update-user',
      text: `with changed as (
               update user_service.users set
                 name = coalesce($2, name),
                 email = coalesce($3, email),
                 search = coalesce((ts_filter(search, $5)::text || ' ' || $6)::tsvector, search),
                 updated_at = greatest(now(), updated_at),
                 version = version + 1,
                 event_transaction_id = greatest(user_service.with_epoch(pg_current_xact_id()), event_transaction_id)
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
      values: [id, name, email, versions, kept, words],
    });
    const { found, ...user } = row as NonNullable<typeof row>;
    // All columns are null where the left join finds no row.
    return (user.id as string | null) === null ? mismatch(found, versions) : user;
  } catch (error) {
    if (sqlState(error) === uniqueViolation) return 'email taken';
    throw error;
  }
}

const uniqueViolation = '23505';

/** Deletes a user with one of `versions` (null is any), and inserts the event. */
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
             returning id, version, greatest(user_service.with_epoch(pg_current_xact_id()), event_transaction_id) as event_transaction_id
           ),
           event as (
             insert into user_service.events (transaction_id, type, subject, version)
             select event_transaction_id, 'user.deleted', id, version from "user"
           )
           select exists (select from user_service.users where id = $1) as found, exists (select from "user") as deleted`,
    values: [id, versions],
  });
  return row?.deleted ? 'deleted' : mismatch(row?.found, versions);
}

/**
 * A page of the users that match the filters, newest first; concurrent calls share it.
 *
 * @throws {InvalidRequest} The cursor belongs to other filters.
 */
export const findUsers = shared(async (db, { limit, cursor, ...filters }: ListQuery): Promise<Page<User>> => {
  const list = ['listUsers', filters];
  const before = readCursor(list, cursor)?.id ?? maxId;
  const scanned = await db.query<User>(scanNewest(filters, before, limit + 1));
  const isComplete = scanned.length > limit || filters.q === undefined;
  return toPage(list, isComplete ? scanned : await db.query<User>(filterAndSort(filters, before, limit + 1)), limit);
});

const maxId = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * How many users are scanned, newest first, before all matches are collected and sorted instead. PostgreSQL can only guess how
 * many match, so it does not get to choose the plan.
 */
const maxScanned = 8000;

type Filters = Pick<ListQuery, 'q' | 'email'>;

/** The matches among the next users. */
function scanNewest({ q, email }: Filters, before: string, limit: number): Statement {
  return {
    name: ['find-users', email && 'email', q && 'q'].filter(Boolean).join(' '),
    text: `select ${columns}
           from (
             select * from user_service.users
             where id < $1 ${email ? 'and lower(email collate "C") = lower($3 collate "C")' : ''}
             order by id desc
             limit ${maxScanned}
           ) as "user"
           ${q ? `where search @@ $${email ? 4 : 3}::tsquery` : ''}
           order by id desc
           limit $2`,
    values: [before, limit, ...[email, q && toSearchQuery(q)].filter((value) => value !== undefined)],
  };
}

/** All matches, sorted: `offset 0` keeps PostgreSQL from using the sort order to find them. */
function filterAndSort({ q, email }: Filters, before: string, limit: number): Statement {
  return {
    text: `select ${columns}
           from (
             select * from user_service.users
             where search @@ $3::tsquery ${email ? 'and lower(email collate "C") = lower($4 collate "C")' : ''}
             offset 0
           ) as "user"
           where id < $1
           order by id desc
           limit $2`,
    values: [before, limit, toSearchQuery(q ?? ''), ...(email ? [email] : [])],
  };
}

/** Finds a user, batched with concurrent calls. */
export const findUser = batched(async (db, ids: string[]) => {
  const users = await db.query<User>({
    name: 'find-users-by-id',
    text: `select ${columns} from user_service.users where id = any ($1)`,
    values: [ids],
  });
  return inOrder(ids, users);
});
