-- Notifies a node that something may wait for it. It would notice by itself a moment later.
select pg_notify('node_' || replace(%(node_id)s::text, '-', ''), '')
