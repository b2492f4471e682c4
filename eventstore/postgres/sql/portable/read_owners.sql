-- Which node is to drive which shard; a shard without a row is free.
select shard_id, node_id::text as node_id from shard_owner
