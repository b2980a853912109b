-- Under which transaction's number the last event of the user stands. One that began before it, waited for it and then
-- changed the user again takes this number for its event, or the feed would tell the later change first: decisions/006.
alter table user_service.users add column event_transaction_id xid8;

-- Not in one statement with the column: those that are there stay as they are, and nothing is rewritten.
alter table user_service.users alter column event_transaction_id set default pg_current_xact_id();
