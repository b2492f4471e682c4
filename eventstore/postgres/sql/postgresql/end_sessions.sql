-- Of nodes that are taken for dead: what they have left open must hold up nobody. A living one connects again.
select pg_terminate_backend(pid)
from pg_stat_activity
where datname = current_database()
  and split_part(application_name, ' ', 2) = any(%(node_ids)s::text[])
