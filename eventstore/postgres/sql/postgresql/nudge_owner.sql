-- The same to whoever owns the shard.
select pg_notify('node_' || replace(node_id::text, '-', ''), '') from shard_owner where shard_id = %(shard_id)s
