-- The log, the keys that clients start streams with, and the documents that streams refer to: the tables of PostgreSQL
-- without the triggers that refuse a change and without the view for people, which need procedures.

create table event (
  shard_id       integer     not null,
  seq            bigint      not null,
  stream_id      uuid        not null,
  version        integer     not null,
  epoch          bigint      not null,
  type           text        not null,
  schema_version integer     not null,
  recorded_at    timestamptz not null,
  payload        bytea       not null,
  hash           bytea       not null,
  -- The order and the fence: two owners of a shard collide here.
  constraint event_has_one_place_in_its_shard primary key (shard_id, seq),
  constraint event_has_one_place_in_its_stream unique (shard_id, stream_id, version),
  constraint shard_id_is_a_shard check (shard_id between 0 and 63),
  constraint seq_starts_at_one check (seq >= 1),
  constraint version_starts_at_one check (version >= 1),
  constraint epoch_starts_at_one check (epoch >= 1),
  constraint schema_version_starts_at_one check (schema_version >= 1),
  constraint type_is_named check (type <> ''),
  constraint hash_is_a_sha256 check (octet_length(hash) = 32)
);

create table stream_key (
  key        text        not null,
  digest     bytea       not null,
  stream_id  uuid        not null,
  claimed_at timestamptz not null,
  constraint key_stands_for_one_stream primary key (key),
  constraint key_fits_in_the_index check (octet_length(key) between 1 and 2000)
);

create table document (
  kind    text        not null,
  name    text        not null,
  version integer     not null,
  content bytea       not null,
  put_at  timestamptz not null,
  constraint document_version_exists_once primary key (kind, name, version),
  constraint document_version_starts_at_one check (version >= 1)
);

-- Whoever owns the tables can give himself the right again: only the hash chain notices what is done then.
revoke update, delete on event, document from public, current_user;
