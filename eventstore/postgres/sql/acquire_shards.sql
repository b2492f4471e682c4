-- Compare and set: of several nodes that want the same shard one gets it, and the others need not claim it. A shard is
-- free if it has no row, or if its owner is considered dead.
insert into shard_owner as owner (shard_id, node_id, since)
select wanted.shard_id, %(node_id)s::uuid, clock_timestamp()
from unnest(%(shard_ids)s::integer[]) as wanted (shard_id)
on conflict (shard_id) do update
  set node_id = excluded.node_id, since = excluded.since
  where owner.node_id::text = any(%(dead)s::text[])
returning shard_id
