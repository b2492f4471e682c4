-- Nodes without a heartbeat for long that own nothing.
delete from node
where seen_at < clock_timestamp() - %(after)s::interval
  and not exists (select 1 from shard_owner where shard_owner.node_id = node.node_id)
