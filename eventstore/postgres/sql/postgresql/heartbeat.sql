-- A heartbeat by the database's clock, which all nodes share, and a view of the other nodes, in one round trip four times
-- a second: how long each has been silent, whether its session still holds its liveness lock, which node owns which
-- shard, and whether a message waits for this node. Safe to repeat.
with me as (
  insert into node as known (node_id, started_at, seen_at, leaving)
  values (%(node_id)s::uuid, clock_timestamp(), clock_timestamp(), %(leaving)s)
  on conflict (node_id) do update set seen_at = excluded.seen_at, leaving = excluded.leaving
), others as (
  select
    array_agg(node_id::text) as node_ids,
    array_agg(leaving) as leaving,
    array_agg(extract(epoch from clock_timestamp() - seen_at)::double precision) as silent_seconds,
    array_agg(
      hashtextextended(node_id::text, 0) in (
        select (classid::bigint << 32) | objid::bigint
        from pg_locks
        where locktype = 'advisory'
          and database = (select oid from pg_database where datname = current_database())
          and objsubid = 1
      )
    ) as holds_liveness_lock
  from node
  where node_id <> %(node_id)s::uuid
), owned as (
  select array_agg(shard_id) as shard_ids, array_agg(node_id::text) as owner_ids
  from shard_owner
)
select
  node_ids,
  leaving,
  silent_seconds,
  holds_liveness_lock,
  shard_ids,
  owner_ids,
  exists (
    select
    from message
    where answer is null
      and shard_id in (select shard_id from shard_owner where node_id = %(node_id)s::uuid)
  ) as messages_wait
from others, owned
