-- Who serves, who drives which shard, and what is asked of a shard through somebody who does not drive it.
-- Only liveness rests on these tables: who may append is decided by the log alone.

create table node (
  node_id    uuid        not null,
  started_at timestamptz not null,
  seen_at    timestamptz not null,
  leaving    boolean     not null,
  constraint node_is_known_once primary key (node_id)
);

create table shard_owner (
  shard_id integer     not null,
  node_id  uuid        not null,
  since    timestamptz not null,
  constraint shard_has_one_owner primary key (shard_id),
  constraint shard_id_is_a_shard check (shard_id between 0 and 63)
);

create table message (
  message_id  uuid        not null,
  shard_id    integer     not null,
  sender      uuid        not null,
  body        bytea       not null,
  sent_at     timestamptz not null,
  answer      bytea,
  answered_at timestamptz,
  constraint message_is_sent_once primary key (message_id),
  constraint shard_id_is_a_shard check (shard_id between 0 and 63)
);

-- The owner of a shard asks for these a few times a second, and there are few of them.
create index unanswered_message on message (shard_id, sent_at) where answer is null;
