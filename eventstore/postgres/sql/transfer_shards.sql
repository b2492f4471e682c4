-- Transfers shards of this node. Shards that it has lost meanwhile stay with their owners.
update shard_owner
set node_id = given.node_id, since = clock_timestamp()
from unnest(%(shard_ids)s::integer[], %(new_owners)s::uuid[]) as given (shard_id, node_id)
where shard_owner.shard_id = given.shard_id
  and shard_owner.node_id = %(node_id)s::uuid
