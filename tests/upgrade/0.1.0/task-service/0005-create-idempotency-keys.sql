-- The first answer to each request with an Idempotency-Key, written with the effect of the request.
create table task_service.idempotency_keys (
  key text primary key check (char_length(key) between 1 and 255),
  fingerprint text not null,
  answer json not null,
  created_at timestamptz(3) not null default now()
);

create index idempotency_keys_by_age on task_service.idempotency_keys (created_at);
