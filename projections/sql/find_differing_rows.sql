-- Rows that differ from what their sagas replay to. A row that has moved on to another version since the replay is not
-- compared, because nodes may write meanwhile.
select row.saga_id::text as saga_id, row.version
from unnest(
  %(saga_id)s::uuid[], %(shard_id)s::integer[], %(saga_type)s::text[],
  %(definition_version)s::integer[], %(entity_id)s::jsonb[], %(status)s::text[], %(rests)s::boolean[],
  %(idle)s::boolean[], %(wake_at)s::timestamptz[],
  %(current_step)s::text[], %(error)s::text[], %(paused)s::boolean[], %(tags)s::jsonb[], %(version)s::integer[],
  %(created_at)s::timestamptz[], %(updated_at)s::timestamptz[]
) as folded (
  saga_id, shard_id, saga_type, definition_version, entity_id, status, rests, idle, wake_at,
  current_step, error, paused,
  tags, version, created_at, updated_at
)
join saga_status as row on row.saga_id = folded.saga_id and row.version = folded.version
where (
  row.shard_id, row.saga_type, row.definition_version, row.entity_id, row.status, row.rests, row.idle, row.wake_at,
  row.current_step, row.error, row.paused, row.tags, row.created_at, row.updated_at
) is distinct from (
  folded.shard_id, folded.saga_type, folded.definition_version, folded.entity_id, folded.status, folded.rests,
  folded.idle, folded.wake_at,
  folded.current_step, folded.error, folded.paused, folded.tags, folded.created_at, folded.updated_at
)
