-- The requests of each client in its window. Unlogged: a count must not wait for the disk, and is worthless after a crash.
create unlogged table if not exists rate_limits (
  -- An IPv4 address or an IPv6 network.
  key text primary key check (char_length(key) <= 100),
  points integer not null,
  -- When the window ends, in milliseconds since 1970.
  expire bigint not null
);

create index if not exists rate_limits_by_expiry on rate_limits (expire);
