-- low < normal < high: an enum of PostgreSQL sorts in the order it is written.
create type task_service.priority as enum ('low', 'normal', 'high');

-- The defaults are for replicas of the version before, which insert without these columns while an update rolls out.
alter table task_service.tasks
  add column status text not null default 'todo' check (status in ('todo', 'in-progress', 'done')),
  add column priority task_service.priority not null default 'normal',
  add column due_date date,
  add column assignee_id uuid,
  add column labels text[] not null default '{}' check (cardinality(labels) <= 20),
  add column updated_at timestamptz(3) not null default now(),
  add column completed_at timestamptz(3),
  add column version integer not null default 1 check (version >= 1),
  -- Words as they are, in any language: nothing is stemmed or left out.
  add column search tsvector not null generated always as (to_tsvector('simple', title || ' ' || description)) stored,
  add constraint done_is_completed check ((status = 'done') = (completed_at is not null));

update task_service.tasks set updated_at = created_at;

-- What each is for, and what is bounded without an index of its own: decisions/007.
create index tasks_by_status on task_service.tasks (status, id);
create index tasks_by_assignee on task_service.tasks (assignee_id, id) where assignee_id is not null;
create index tasks_by_due_date on task_service.tasks (due_date, id);
create index tasks_by_update on task_service.tasks (updated_at, id);
create index tasks_by_priority on task_service.tasks (priority, id);
create index tasks_by_label on task_service.tasks using gin (labels);
-- New words wait in a list that each search reads whole: keep it short.
create index tasks_by_word on task_service.tasks using gin (search) with (gin_pending_list_limit = 256);
