-- The status view: one row a saga, folded from the log. It can be dropped and rebuilt at any time.

create table saga_status (
  saga_id            uuid        not null,
  shard_id           integer     not null,
  saga_type          text        not null,
  definition_version integer     not null,
  entity_id          jsonb,
  status             text        not null,
  rests              boolean     not null,
  idle               boolean     not null,
  wake_at            timestamptz,
  current_step       text,
  error              text,
  tags               jsonb       not null,
  version            integer     not null,
  created_at         timestamptz not null,
  updated_at         timestamptz not null,
  constraint saga_has_one_status primary key (saga_id)
);

-- Recovery asks for these, and there are few of them.
create index unfinished_saga on saga_status (shard_id) where not rests;
-- Lists are read newest first, and an id begins with the time of the start.
create index saga_of_type on saga_status (saga_type, saga_id);
create index saga_of_entity on saga_status ((entity_id #>> '{}'), saga_id);

create table projection_checkpoint (
  projection text    not null,
  shard_id   integer not null,
  seq        bigint  not null,
  constraint projection_has_one_checkpoint_a_shard primary key (projection, shard_id),
  constraint checkpoint_is_not_negative check (seq >= 0)
);
