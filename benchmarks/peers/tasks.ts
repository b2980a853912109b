/**
 * What the peers on Node.js share, so that they differ in their HTTP alone: the statements, named and therefore prepared,
 * each of which writes the event too, and the pool. They are the task service's own, without what it needs for users.
 */
import { createHash, randomUUID } from 'node:crypto';
import pg from 'pg';
import { v7 } from 'uuid';

export type Status = 'todo' | 'in-progress' | 'done';
export type Priority = 'low' | 'normal' | 'high';

/** A task as `pg` reads it; JSON makes strings of its times. */
export interface Task {
  id: string;
  title: string;
  description: string;
  status: Status;
  priority: Priority;
  dueDate: string | null;
  assigneeId: string | null;
  labels: string[];
  createdAt: Date;
  updatedAt: Date;
  completedAt: Date | null;
  version: number;
}

export interface NewTask {
  title: string;
  description?: string;
  status?: Status;
  priority?: Priority;
  dueDate?: string | null;
  assigneeId?: string | null;
  labels?: string[];
}

// As PostgreSQL writes them.
pg.types.setTypeParser(pg.types.builtins.DATE, (text) => text);

const pool = new pg.Pool({
  host: process.env.POSTGRES_HOST,
  port: Number(process.env.POSTGRES_PORT),
  database: process.env.POSTGRES_DB,
  user: process.env.POSTGRES_USER,
  password: process.env.POSTGRES_PASSWORD,
  max: 10,
  idleTimeoutMillis: 0,
});

const columns = `id, title, description, status, priority, due_date as "dueDate", assignee_id as "assigneeId", labels,
  created_at as "createdAt", updated_at as "updatedAt", completed_at as "completedAt", version`;

export async function insertTask(task: NewTask): Promise<Task> {
  const { title, description = '', status = 'todo', priority = 'normal' } = task;
  const { dueDate = null, assigneeId = null, labels = [] } = task;
  const { rows } = await pool.query<Task>({
    name: 'insert-task',
    text: `with task as (
             insert into task_service.tasks
               (id, title, description, status, priority, due_date, assignee_id, labels, created_at, updated_at, completed_at,
                search)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, case $4 when 'done' then $9::timestamptz end,
               to_tsvector('simple', $2 || ' ' || $3))
             returning ${columns}
           ),
           event as (
             insert into task_service.events (type, subject, version) select 'task.created', id, version from task
           )
           select * from task`,
    values: [v7(), title, description, status, priority, dueDate, assigneeId, labels, new Date()],
  });
  return rows[0] as Task;
}

/** The newest tasks, one page of them. */
export async function listTasks(limit: number): Promise<{ items: Task[]; nextCursor: string | null }> {
  const { rows } = await pool.query<Task>({
    name: 'list-tasks',
    text: `select ${columns} from task_service.tasks order by id desc limit $1`,
    values: [limit + 1],
  });
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: last && rows.length > limit ? cursorAfter(last.id) : null };
}

export async function findTask(id: string): Promise<Task | undefined> {
  const { rows } = await pool.query<Task>({
    name: 'find-task',
    text: `select ${columns} from task_service.tasks where id = $1`,
    values: [id],
  });
  return rows[0];
}

export async function updateTask(id: string, changes: Partial<NewTask>): Promise<Task | undefined> {
  const { rows } = await pool.query<Task>({
    name: 'update-task',
    text: `with task as (
             update task_service.tasks set
               title = coalesce($2::jsonb ->> 'title', title),
               description = coalesce($2 ->> 'description', description),
               status = coalesce($2 ->> 'status', status),
               priority = coalesce(($2 ->> 'priority')::task_service.priority, priority),
               due_date = case when $2 ? 'dueDate' then ($2 ->> 'dueDate')::date else due_date end,
               assignee_id = case when $2 ? 'assigneeId' then ($2 ->> 'assigneeId')::uuid else assignee_id end,
               labels = case when $2 ? 'labels' then array(select jsonb_array_elements_text($2 -> 'labels')) else labels end,
               completed_at = case coalesce($2 ->> 'status', status) when 'done' then coalesce(completed_at, now()) end,
               updated_at = greatest(now(), updated_at),
               version = version + 1,
               search = to_tsvector('simple', coalesce($2 ->> 'title', title) || ' ' || coalesce($2 ->> 'description', description))
             where id = $1
             returning ${columns}
           ),
           event as (
             insert into task_service.events (type, subject, version) select 'task.updated', id, version from task
           )
           select * from task`,
    values: [id, JSON.stringify(changes)],
  });
  return rows[0];
}

/** The problem of a task that is not there. */
export function notFound(id: string) {
  return {
    type: '/problems/not-found',
    title: 'Not found',
    status: 404,
    detail: 'There is no task with this id.',
    instance: `/tasks/${id}`,
    requestId: randomUUID(),
  };
}

const list = createHash('sha256').update('["listTasks",{"sort":"-createdAt"}]').digest('base64url').slice(0, 12);

function cursorAfter(id: string): string {
  return Buffer.from(JSON.stringify([list, id, null])).toString('base64url');
}
