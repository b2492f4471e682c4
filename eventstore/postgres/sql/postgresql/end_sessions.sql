-- Ends the sessions of nodes that are considered dead: their open transactions must not block others. A living node connects again.
select pg_terminate_backend(pid)
from pg_stat_activity
where datname = current_database()
  and split_part(application_name, ' ', 2) = any(%(node_ids)s::text[])
