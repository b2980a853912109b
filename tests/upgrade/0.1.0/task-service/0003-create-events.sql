-- What happened to tasks, written with the change itself. The feed's order is the transaction's number first, because
-- transactions do not end in the order in which they take positions: decisions/006.
create table task_service.events (
  transaction_id xid8 not null default pg_current_xact_id(),
  position bigint not null generated always as identity,
  type text not null check (type in ('task.created', 'task.updated', 'task.deleted')),
  subject uuid not null,
  version integer not null,
  time timestamptz(3) not null default now(),
  primary key (transaction_id, position)
);
