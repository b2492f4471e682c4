-- All nodes, and how long each has been silent. The liveness lock counts as held: only PostgreSQL has it.
select
  node_id::text as node_id,
  leaving,
  extract(epoch from clock_timestamp() - seen_at)::double precision as silent_seconds,
  true as holds_liveness_lock
from node
