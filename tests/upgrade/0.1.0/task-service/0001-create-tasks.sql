-- Ids are UUIDs of version 7, so the primary key also lists the tasks by age.
create table task_service.tasks (
  id uuid primary key,
  title text not null check (char_length(title) between 1 and 200),
  description text not null check (char_length(description) <= 10000),
  created_at timestamptz(3) not null
);
