-- As the events themselves: decisions/006.
alter table task_service.tasks
  alter column event_transaction_id set default task_service.with_epoch(pg_current_xact_id());
