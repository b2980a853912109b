-- The words of `search` come from the service, because those of to_tsvector() depend on the server's locale: decisions/017.
-- Only the catalog changes; no row is rewritten.
alter table user_service.users alter column search drop expression;

-- Users whose words the service has to compute. A user can be queued more than once.
create table user_service.search_queue (
  position bigint primary key generated always as identity,
  id uuid not null
);

-- Replicas of the version before, and SQL, write no words. Until the service has computed them, those of the server do.
create function user_service.queue_for_search() returns trigger language plpgsql as $$
begin
  insert into user_service.search_queue (id) values (new.id);
  new.search := coalesce(old.search, '') || to_tsvector('pg_catalog.simple', new.name || ' ' || new.email);
  return new;
end
$$;

create trigger queue_new_user before insert on user_service.users
  for each row when (new.search is null)
  execute function user_service.queue_for_search();

create trigger queue_changed_user before update of name, email on user_service.users
  for each row when (
    new.search is not distinct from old.search
    and (new.name, new.email) is distinct from (old.name, old.email)
  )
  execute function user_service.queue_for_search();
