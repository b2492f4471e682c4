-- Tells a node that something may wait for it. It would find out by itself a moment later.
select pg_notify('node_' || replace(%(node_id)s::text, '-', ''), '')
