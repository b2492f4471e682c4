-- Appends only add after the last version, so pages never shift.
select shard_id, seq, stream_id::text as stream_id, version, epoch, type, schema_version, recorded_at, payload, hash
from event
where shard_id = %(shard_id)s
  and stream_id = %(stream_id)s::uuid
  and version > %(after_version)s
order by version
limit %(limit)s
