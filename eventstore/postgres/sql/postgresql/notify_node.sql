-- Notifies a node that something may wait for it. Without this it would notice at its next heartbeat.
select pg_notify('node_' || replace(%(node_id)s::text, '-', ''), '')
