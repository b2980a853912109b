/** Every SQL statement of the task service, one function each, but for those of the list: see list.ts. */
import { batched, inOrder } from '@task-manager/runtime/postgres/batch';
import { missed } from '@task-manager/runtime/http/etag';
import type { Queryable } from '@task-manager/runtime/postgres/database';
import { newId, timeOf } from '@task-manager/runtime/ids';
import type { components } from '../../../generated/task-service.server.d.ts';

type Task = components['schemas']['Task'];
type NewTask = components['schemas']['NewTask'];
type TaskChanges = components['schemas']['TaskChanges'];

export const columns = `id, title, description, status, priority, due_date as "dueDate", assignee_id as "assigneeId", labels,
  created_at as "createdAt", updated_at as "updatedAt", completed_at as "completedAt", version`;

/** Stores a task as `insertTasks` does, in one statement with the others that come at the same time. */
export async function insertTask(db: Queryable, newTask: NewTask): Promise<Task | undefined> {
  // One that is given to somebody may have to wait for who is deleting them: the others must not wait with it.
  return newTask.assigneeId === null ? insertUnassigned(db, newTask) : (await insertTasks(db, [newTask]))?.[0];
}

const insertUnassigned = batched(async (db, newTasks: NewTask[]) => (await insertTasks(db, newTasks)) ?? []);

/**
 * Stores tasks, which were created when their ids were made, and the events that tell of it: all of them, or none when one
 * of those they are given to was deleted.
 */
export async function insertTasks(db: Queryable, newTasks: NewTask[]): Promise<Task[] | undefined> {
  const tasks = newTasks.map(toTask);
  const assignees = await meetAssignees(db, newTasks);
  const stored = await db.query({
    name: 'insert-tasks',
    text: `with ${lockAssignees('$1')},
           task as (
             insert into task_service.tasks
               (id, title, description, status, priority, due_date, assignee_id, labels, created_at, updated_at, completed_at)
             select id, title, description, status, priority, due_date, assignee_id,
               case labels when '[]' then '{}' else array(select json_array_elements_text(labels::json)) end,
               created_at, created_at, completed_at
             from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::task_service.priority[], $7::date[], $8::uuid[],
               $9::text[], $10::timestamptz[], $11::timestamptz[]) as new
               (id, title, description, status, priority, due_date, assignee_id, labels, created_at, completed_at)
             where (select count(*) from assignee) = cardinality($1::uuid[])
             returning id, version
           )
           insert into task_service.events (type, subject, version) select 'task.created', id, version from task
           returning position`,
    values: [
      assignees,
      tasks.map(({ id }) => id),
      tasks.map(({ title }) => title),
      tasks.map(({ description }) => description),
      tasks.map(({ status }) => status),
      tasks.map(({ priority }) => priority),
      tasks.map(({ dueDate }) => dueDate),
      tasks.map(({ assigneeId }) => assigneeId),
      tasks.map(({ labels }) => JSON.stringify(labels)),
      tasks.map(({ createdAt }) => createdAt),
      tasks.map(({ completedAt }) => completedAt),
    ],
  });
  return stored.length === 0 ? undefined : tasks;
}

function toTask({ title, description, status, priority, dueDate, assigneeId, labels }: NewTask): Task {
  const id = newId();
  const createdAt = timeOf(id).toISOString();
  const completedAt = status === 'done' ? createdAt : null;
  const times = { createdAt, updatedAt: createdAt, completedAt };
  return { id, title, description, status, priority, dueDate, assigneeId, labels, ...times, version: 1 };
}

/** What became of a task that was to be changed. */
type Change = Task | 'not found' | 'stale' | 'unknown assignee';

/** The changes to a task that has one of these versions; null is any. */
interface Edit {
  taskId: string;
  changes: TaskChanges;
  versions: string[] | null;
}

/**
 * Changes a task that has one of `versions` (null is any), and writes the event that tells of it: in one statement with the
 * others that come at the same time, unless it may have to wait, for somebody who changes the same task or for its assignee.
 */
export async function updateTask(
  db: Queryable,
  taskId: string,
  changes: TaskChanges,
  versions: string[] | null,
): Promise<Change> {
  const edit = { taskId, changes, versions };
  const change = changes.assigneeId ? 'busy' : await updateUnassigned(db, edit);
  if (change !== 'busy') return change;
  const [waited] = await updateTasks(db, [edit], 'for update');
  return waited as Change;
}

const updateUnassigned = batched(async (db, edits: Edit[]) => {
  // Of several for one task the first.
  const first = new Map([...edits].reverse().map((edit) => [edit.taskId, edit]));
  const own = [...first.values()];
  const changes = await updateTasks(db, own, 'for update skip locked');
  return edits.map((edit) =>
    first.get(edit.taskId) === edit ? (changes[own.indexOf(edit)] as Change | 'busy') : 'busy',
  );
});

/** What became of each, in order; `busy` when somebody else is changing it and `lock` does not wait. */
async function updateTasks(
  db: Queryable,
  edits: Edit[],
  lock: 'for update' | 'for update skip locked',
): Promise<(Change | 'busy')[]> {
  const assignees = await meetAssignees(
    db,
    edits.map(({ changes }) => changes),
  );
  const rows = await db.query<Task & { taskId: string; found: boolean; free: boolean; assignable: boolean }>({
    name: `update-tasks ${lock}`,
    // The assignee is locked before the task, as whoever takes tasks from a deleted user does it.
    text: `with ${lockAssignees('$2')},
           edit as (
             select * from json_to_recordset($1) as edit ("taskId" uuid, changes jsonb, versions text[])
           ),
           free as (
             select id as "taskId" from task_service.tasks
             where id = any ($3::uuid[]) and (select count(*) from assignee) = cardinality($2::uuid[])
             order by id
             ${lock}
           ),
           changed as (
             update task_service.tasks set
               title = coalesce(changes ->> 'title', title),
               description = coalesce(changes ->> 'description', description),
               status = coalesce(changes ->> 'status', status),
               priority = coalesce((changes ->> 'priority')::task_service.priority, priority),
               due_date = case when changes ? 'dueDate' then (changes ->> 'dueDate')::date else due_date end,
               assignee_id = case when changes ? 'assigneeId' then (changes ->> 'assigneeId')::uuid else assignee_id end,
               labels = case when changes ? 'labels' then array(select jsonb_array_elements_text(changes -> 'labels'))
                 else labels end,
               completed_at = case coalesce(changes ->> 'status', status) when 'done' then coalesce(completed_at, now()) end,
               updated_at = greatest(now(), updated_at),
               version = version + 1,
               event_transaction_id = greatest(pg_current_xact_id(), event_transaction_id)
             from edit
             where id = any ($3::uuid[]) and id = "taskId" and id in (select "taskId" from free)
               and (versions is null or version::text = any (versions))
             returning tasks.*
           ),
           task as (
             select ${columns} from changed
           ),
           event as (
             insert into task_service.events (transaction_id, type, subject, version)
             select event_transaction_id, 'task.updated', id, version from changed
           )
           select task.*, "taskId", free."taskId" is not null as free,
             "taskId" in (select id from task_service.tasks where id = any ($3::uuid[])) as found,
             (select count(*) from assignee) = cardinality($2::uuid[]) as assignable
           from edit left join free using ("taskId") left join task on task.id = "taskId"`,
    values: [JSON.stringify(edits), assignees, edits.map(({ taskId }) => taskId)],
  });
  const outcomes = new Map(rows.map(({ taskId, ...outcome }) => [taskId, outcome]));
  return edits.map(({ taskId, versions }) => {
    const { found, free, assignable, ...task } = outcomes.get(taskId) as Omit<(typeof rows)[number], 'taskId'>;
    // Where the left join finds nothing, all its columns are null.
    if ((task.id as string | null) !== null) return task;
    if (found && !assignable) return 'unknown assignee';
    return found && !free && lock !== 'for update' ? 'busy' : missed(found, versions);
  });
}

/** Deletes a task that has one of `versions` (null is any), and writes the event that tells of it. */
export async function deleteTask(
  db: Queryable,
  id: string,
  versions: string[] | null,
): Promise<'deleted' | 'not found' | 'stale'> {
  const [row] = await db.query<{ found: boolean; deleted: boolean }>({
    name: 'delete-task',
    text: `with task as (
             delete from task_service.tasks
             where id = $1 and ($2::text[] is null or version::text = any ($2))
             returning id, version, greatest(pg_current_xact_id(), event_transaction_id) as event_transaction_id
           ),
           event as (
             insert into task_service.events (transaction_id, type, subject, version)
             select event_transaction_id, 'task.deleted', id, version from task
           )
           select exists (select from task_service.tasks where id = $1) as found, exists (select from task) as deleted`,
    values: [id, versions],
  });
  return row?.deleted ? 'deleted' : missed(row?.found, versions);
}

/** Finds a task, in one statement with the others that are asked for at the same time. */
export const findTask = batched(async (db, ids: string[]) => {
  const tasks = await db.query<Task>({
    name: 'find-tasks-by-id',
    text: `select ${columns} from task_service.tasks where id = any ($1)`,
    values: [ids],
  });
  return inOrder(ids, tasks);
});

/**
 * Makes sure that the users whom tasks are given to are known here, and answers with their ids: each once, in the order in
 * which whoever wants several locks them.
 */
async function meetAssignees(db: Queryable, tasks: { assigneeId?: string | null }[]): Promise<string[]> {
  const ids = [...new Set(tasks.flatMap(({ assigneeId }) => assigneeId ?? []))].sort();
  if (ids.length > 0) {
    await db.query({
      name: 'meet-assignees',
      text: 'insert into task_service.assignees (id) select unnest($1::uuid[]) on conflict do nothing',
      values: [ids],
    });
  }
  return ids;
}

/** Those of the users who were not deleted. They cannot be, in this service, before the transaction has ended. */
function lockAssignees(parameter: string): string {
  return `assignee as materialized (
             select id from task_service.assignees
             where id = any (${parameter}::uuid[]) and deleted_at is null
             order by id
             for share
           )`;
}

/** How far the feed of the users was followed; null before its first event. */
export async function findUsersCursor(db: Queryable): Promise<string | null> {
  const [followed] = await db.query<{ cursor: string | null }>({
    name: 'find-users-cursor',
    text: `select cursor from task_service.followed where feed = 'users'`,
  });
  return followed?.cursor ?? null;
}

/** Moves on in the feed of the users; false when another replica was faster. To be used in a transaction. */
export async function moveUsersCursor(db: Queryable, from: string | null, to: string | null): Promise<boolean> {
  const moved = await db.query({
    name: 'move-users-cursor',
    text: `update task_service.followed set cursor = $2
           where feed = 'users' and cursor is not distinct from $1
           returning feed`,
    values: [from, to],
  });
  return moved.length > 0;
}

/**
 * Takes their tasks from users who were deleted, and lets nobody give them more. To be used in a transaction: its first
 * statement waits for those who are just giving them tasks, so that its second one sees these too.
 */
export async function unassign(db: Queryable, userIds: string[]): Promise<void> {
  await db.query({
    name: 'delete-assignees',
    text: `insert into task_service.assignees (id, deleted_at) select id, now() from unnest($1::uuid[]) as id order by id
           on conflict (id) do update set deleted_at = excluded.deleted_at`,
    values: [userIds],
  });
  // A statement has a time limit, and somebody may have a hundred thousand tasks.
  while ((await unassignSome(db, userIds)) > 0);
}

async function unassignSome(db: Queryable, userIds: string[]): Promise<number> {
  const unassigned = await db.query({
    name: 'unassign-tasks',
    text: `with task as (
             update task_service.tasks
             set assignee_id = null, updated_at = greatest(now(), updated_at), version = version + 1,
               event_transaction_id = greatest(pg_current_xact_id(), event_transaction_id)
             where id in (select id from task_service.tasks where assignee_id = any ($1::uuid[]) limit 500 for update)
             returning id, version, event_transaction_id
           )
           insert into task_service.events (transaction_id, type, subject, version)
           select event_transaction_id, 'task.updated', id, version from task
           returning position`,
    values: [userIds],
  });
  return unassigned.length;
}
