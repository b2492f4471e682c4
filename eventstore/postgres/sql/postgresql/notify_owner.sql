-- Notifies the owner of a shard that a message may wait for it.
select pg_notify('node_' || replace(node_id::text, '-', ''), '') from shard_owner where shard_id = %(shard_id)s
