-- The users that tasks were given to. Those deleted stay known: whoever assigns takes a share of the row's lock, so no
-- task can be given to a user once their tasks have been taken away.
create table task_service.assignees (
  id uuid primary key,
  deleted_at timestamptz(3)
);

-- How far the feed of another service was followed: moved in the transaction of what its events bring about.
create table task_service.followed (
  feed text primary key,
  cursor text
);

insert into task_service.followed (feed) values ('users');
