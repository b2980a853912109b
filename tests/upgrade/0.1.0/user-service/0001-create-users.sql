-- Ids are UUIDs of version 7, so the primary key also lists the users by age.
create table user_service.users (
  id uuid primary key,
  name text not null check (char_length(name) between 1 and 200),
  email text not null check (char_length(email) between 3 and 254),
  created_at timestamptz(3) not null
);

-- An address belongs to one user, whatever the case of its letters; it is kept as it was given.
create unique index users_email_key on user_service.users (lower(email));
