-- By shard and stream, as the unique key is ordered: each stream is one range of it.
select
  event.shard_id, event.seq, event.stream_id::text as stream_id, event.version, event.epoch,
  event.type, event.schema_version, event.recorded_at, event.payload, event.hash
from unnest(%(shard_ids)s::integer[], %(stream_ids)s::uuid[]) as wanted (shard_id, stream_id)
join event on event.shard_id = wanted.shard_id and event.stream_id = wanted.stream_id
order by event.stream_id, event.version
