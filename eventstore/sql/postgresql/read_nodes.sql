-- All nodes, how long each has been silent, and whether its session still holds its life line.
select
  node.node_id::text as node_id,
  node.leaving,
  extract(epoch from clock_timestamp() - node.seen_at)::double precision as silent_seconds,
  exists (
    select
    from pg_locks
    where locktype = 'advisory'
      and database = (select oid from pg_database where datname = current_database())
      and objsubid = 1
      and ((classid::bigint << 32) | objid::bigint) = hashtextextended(node.node_id::text, 0)
  ) as has_life_line
from node
