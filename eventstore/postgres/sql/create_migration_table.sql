-- Before the first migration, so it cannot be one. Safe to repeat.
create table if not exists migration (
  room       text        not null,
  number     integer     not null,
  name       text        not null,
  sha256     bytea       not null,
  applied_at timestamptz not null default clock_timestamp(),
  constraint migration_is_applied_once primary key (room, number)
)
