-- Ends the sessions of nodes that are taken for dead: what they left open must not block others. A living node connects again.
select pg_terminate_backend(pid)
from pg_stat_activity
where datname = current_database()
  and split_part(application_name, ' ', 2) = any(%(node_ids)s::text[])
