-- As the events themselves: decisions/006.
alter table user_service.users
  alter column event_transaction_id set default user_service.with_epoch(pg_current_xact_id());
