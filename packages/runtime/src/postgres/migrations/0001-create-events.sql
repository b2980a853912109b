-- One event for each change, written by the statement that makes the change. Order: the transaction first, because
-- transactions do not end in the order in which they take positions (decision 006).
-- "if not exists", because services of version 0.1.0 created these tables themselves.
create table if not exists events (
  transaction_id xid8 not null default pg_current_xact_id(),
  position bigint not null generated always as identity,
  type text not null,
  subject uuid not null,
  version integer not null,
  time timestamptz(3) not null default now(),
  primary key (transaction_id, position)
);
