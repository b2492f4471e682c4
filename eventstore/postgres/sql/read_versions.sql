-- The newest version of each stream that has events; each by the last entry of its range in the unique index.
select wanted.stream_id::text as stream_id, newest.version
from unnest(%(shard_ids)s::integer[], %(stream_ids)s::uuid[]) as wanted (shard_id, stream_id)
cross join lateral (
  select version
  from event
  where event.shard_id = wanted.shard_id and event.stream_id = wanted.stream_id
  order by event.version desc
  limit 1
) as newest
