-- The defaults are for replicas of the version before, which insert without these columns while an update rolls out.
alter table user_service.users
  add column updated_at timestamptz(3) not null default now(),
  add column version integer not null default 1 check (version >= 1),
  -- Words as they are, in any language: nothing is stemmed or left out.
  add column search tsvector not null generated always as (to_tsvector('simple', name || ' ' || email)) stored;

update user_service.users set updated_at = created_at;

-- New words wait in a list that each search reads whole: keep it short.
create index users_by_word on user_service.users using gin (search) with (gin_pending_list_limit = 256);
