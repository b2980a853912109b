-- The table is the runtime's; its event types are this service's. Older events need no check.
alter table task_service.events
  drop constraint if exists events_type_check,
  add constraint events_type_check check (type in ('task.created', 'task.updated', 'task.deleted')) not valid;
