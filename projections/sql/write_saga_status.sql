-- The newest rows of sagas together with the checkpoints that cover them: both or neither.
-- * Compare and set: if another node has moved a checkpoint, -1 violates the check of the table, and nothing is written.
--   The same happens beyond the end of the log: the database went back to an older state, and the rows are wrong.
-- * The count is taken once, before the first row: all projectors lock checkpoints first, so they cannot deadlock.
-- * Safe to repeat and to reorder: an older version never replaces a newer one.
with moved as (
  update projection_checkpoint as checkpoint
  set seq = case
    when checkpoint.seq = next.before
      and (next.seq > (select max(event.seq) from event where event.shard_id = next.shard_id)) is not true
    then next.seq
    else -1
  end
  from unnest(%(moved_shard_id)s::integer[], %(before)s::bigint[], %(seq)s::bigint[])
    as next (shard_id, before, seq)
  where checkpoint.projection = 'saga_status'
    and checkpoint.shard_id = next.shard_id
  returning checkpoint.shard_id
)
insert into saga_status as old (
  saga_id, shard_id, saga_type, definition_version, entity_id, status, rests, idle, wake_at,
  current_step, error, parked_at, parked, paused,
  tags, version, created_at, updated_at
)
select *
from unnest(
  %(saga_id)s::uuid[], %(shard_id)s::integer[], %(saga_type)s::text[],
  %(definition_version)s::integer[], %(entity_id)s::jsonb[], %(status)s::text[], %(rests)s::boolean[],
  %(idle)s::boolean[], %(wake_at)s::timestamptz[],
  %(current_step)s::text[], %(error)s::text[], %(parked_at)s::timestamptz[], %(parked)s::jsonb[],
  %(paused)s::boolean[],
  %(tags)s::jsonb[], %(version)s::integer[], %(created_at)s::timestamptz[], %(updated_at)s::timestamptz[]
)
where (select count(*) from moved) = cardinality(%(moved_shard_id)s::integer[])
on conflict (saga_id) do update set
  status = excluded.status,
  rests = excluded.rests,
  idle = excluded.idle,
  wake_at = excluded.wake_at,
  current_step = excluded.current_step,
  error = excluded.error,
  parked_at = excluded.parked_at,
  parked = excluded.parked,
  paused = excluded.paused,
  version = excluded.version,
  updated_at = excluded.updated_at
where old.version < excluded.version
