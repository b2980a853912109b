-- The table is the runtime's; its event types are this service's. Older events need no check.
alter table user_service.events
  drop constraint if exists events_type_check,
  add constraint events_type_check check (type in ('user.registered', 'user.updated', 'user.deleted')) not valid;
