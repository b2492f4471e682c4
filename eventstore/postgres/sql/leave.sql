-- What it has not handed over waits for whoever comes.
with left_behind as (delete from shard_owner where node_id = %(node_id)s::uuid)
delete from node where node_id = %(node_id)s::uuid
