-- Whole streams of a shard, from a place in the order of the unique key to the next: one range of its index, wherever
-- it begins. Events behind `upto` were appended after the reading began, and are left out.
select
  shard_id, seq, stream_id::text as stream_id, version, epoch, type, schema_version, recorded_at, payload, hash
from event
where shard_id = %(shard_id)s
  and (stream_id, version) > (%(after_stream)s::uuid, %(after_version)s::integer)
  and seq <= %(upto)s
order by event.stream_id, event.version
limit %(limit)s
