-- The first result of each request with an Idempotency-Key, written in the transaction of the request.
create table if not exists idempotency_keys (
  key text primary key check (char_length(key) between 1 and 255),
  fingerprint text not null,
  answer json not null,
  created_at timestamptz(3) not null default now()
);

create index if not exists idempotency_keys_by_age on idempotency_keys (created_at);
