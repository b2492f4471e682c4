-- What every participant remembers beside its own effects.

create table if not exists answer (
  key text primary key,
  fingerprint text not null,
  status integer not null,
  body text not null
) strict, without rowid;

-- Actions that must not happen any more: they were compensated, perhaps before they arrived.
create table if not exists undone_action (
  action_key text primary key
) strict, without rowid;

create table if not exists call (
  call_id integer primary key autoincrement,
  method text not null,
  path text not null,
  key text,
  saga_id text,
  step text,
  attempt integer,
  status integer not null,
  replayed integer not null
) strict;
