-- Transaction ids are those of one server. When the database moves to another server, the service opens the next epoch, whose
-- events come after all earlier ones (decision 006).
create table feed_epochs (
  epoch integer primary key check (epoch >= 0),
  -- The server and its timeline.
  server text not null,
  opened_at timestamptz(3) not null default now()
);

-- The place of a transaction in the feed. Each epoch replaces the number before the shift.
create function with_epoch(transaction_id xid8) returns xid8 language sql stable parallel safe
  as 'select ((0::bigint << 48) + transaction_id::text::bigint)::text::xid8';

alter table events alter column transaction_id set default with_epoch(pg_current_xact_id());
