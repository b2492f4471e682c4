-- The log, the keys that clients start streams with, and the documents that streams refer to.

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

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: % is refused', tg_table_name, lower(tg_op)
    using errcode = 'restrict_violation';
end
$$;

create trigger event_is_append_only
  before update or delete or truncate on event
  for each statement execute function refuse_change();

create trigger document_is_append_only
  before update or delete or truncate on document
  for each statement execute function refuse_change();

-- "always": a session that calls itself a replica is refused as well.
alter table event enable always trigger event_is_append_only;
alter table document enable always trigger document_is_append_only;

revoke update, delete, truncate on event, document from public, current_user;

-- For people who look at the log with SQL. A payload that PostgreSQL cannot show as jsonb (a NUL character, say) is
-- shown as its bytes: one such row must not make the whole view unreadable.
create function shown_as_json(content bytea) returns jsonb language plpgsql immutable as $$
begin
  return convert_from(content, 'UTF8')::jsonb;
exception
  when data_exception or program_limit_exceeded then
    return jsonb_build_object('unreadable_base64', encode(content, 'base64'));
end
$$;

create view event_json as
  select shard_id, seq, stream_id, version, epoch, type, schema_version, recorded_at,
         shown_as_json(payload) as payload, encode(hash, 'hex') as hash
  from event;
