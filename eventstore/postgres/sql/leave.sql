-- Shards that were not handed over have no owner until another node acquires them.
with left_behind as (delete from shard_owner where node_id = %(node_id)s::uuid)
delete from node where node_id = %(node_id)s::uuid
