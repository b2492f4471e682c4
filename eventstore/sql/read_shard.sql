-- A shard has one writer and dense numbers, so nothing can appear later behind the cursor of a reader.
select shard_id, seq, stream_id::text as stream_id, version, epoch, type, schema_version, recorded_at, payload, hash
from event
where shard_id = %(shard_id)s and seq > %(after_seq)s
order by seq
limit %(limit)s
