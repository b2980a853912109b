-- The words of `search` come from the service, because those of to_tsvector() depend on the server's locale: decisions/017.
-- Only the catalog changes; no row is rewritten.
alter table task_service.tasks alter column search drop expression;

-- Tasks whose words the service has to compute. A task can be queued more than once.
create table task_service.search_queue (
  position bigint primary key generated always as identity,
  id uuid not null
);

-- Replicas of the version before, and SQL, write no words. Until the service has computed them, those of the server do.
create function task_service.queue_for_search() returns trigger language plpgsql as $$
begin
  insert into task_service.search_queue (id) values (new.id);
  new.search := coalesce(old.search, '') || to_tsvector('pg_catalog.simple', new.title || ' ' || new.description);
  return new;
end
$$;

create trigger queue_new_task before insert on task_service.tasks
  for each row when (new.search is null)
  execute function task_service.queue_for_search();

create trigger queue_changed_task before update of title, description on task_service.tasks
  for each row when (
    new.search is not distinct from old.search
    and (new.title, new.description) is distinct from (old.title, old.description)
  )
  execute function task_service.queue_for_search();
