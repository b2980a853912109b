/** Every SQL statement of the task service, one function each. */
import type { Database } from '@task-manager/runtime/database';
import { timeOf } from '@task-manager/runtime/ids';
import type { components } from '../../../generated/task-service.server.d.ts';

type Task = components['schemas']['Task'];
type NewTask = components['schemas']['NewTask'];

const columns = `id, title, description, created_at as "createdAt"`;

/** Stores a task; it was created when its id was made. */
export async function insertTask(db: Database, { id, title, description }: NewTask & { id: string }): Promise<Task> {
  const [task] = await db.query<Task>({
    name: 'insert-task',
    text: `insert into task_service.tasks (id, title, description, created_at)
           values ($1, $2, $3, $4)
           returning ${columns}`,
    values: [id, title, description, timeOf(id)],
  });
  return task as Task;
}

/** At most `limit` tasks, newest first, of those made before the task `before`, or of all. */
export async function findTasks(db: Database, before: string | null, limit: number): Promise<Task[]> {
  return db.query<Task>({
    name: before ? 'find-tasks-before' : 'find-tasks',
    text: `select ${columns}
           from task_service.tasks
           ${before ? 'where id < $2' : ''}
           order by id desc
           limit $1`,
    values: before ? [limit, before] : [limit],
  });
}

export async function findTask(db: Database, id: string): Promise<Task | undefined> {
  const [task] = await db.query<Task>({
    name: 'find-task',
    text: `select ${columns} from task_service.tasks where id = $1`,
    values: [id],
  });
  return task;
}
