-- Which node is to drive which shard; a shard without a row waits for one.
select shard_id, node_id::text as node_id from shard_owner
