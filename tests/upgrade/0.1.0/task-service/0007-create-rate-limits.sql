-- How many requests each client has sent in its window, by the names that rate-limiter-flexible has for it.
-- Unlogged: a count must not wait for the disk, and is worth nothing after a crash.
create unlogged table task_service.rate_limits (
  -- An address, or of IPv6 a network.
  key text primary key check (char_length(key) <= 100),
  points integer not null,
  -- When the window is over, in milliseconds since 1970.
  expire bigint not null
);

create index rate_limits_by_expiry on task_service.rate_limits (expire);
