-- A shard has one writer and dense numbers, so nothing can appear later behind the cursor of a reader. A page ends with the
-- event that fills it: the length of a payload is known without reading it, so what is left out costs nothing.
select shard_id, seq, stream_id, version, epoch, type, schema_version, recorded_at, payload, hash
from (
  select shard_id, seq, stream_id::text as stream_id, version, epoch, type, schema_version, recorded_at, payload, hash,
         sum(octet_length(payload)) over (order by seq) - octet_length(payload) as bytes_before
  from event
  where shard_id = %(shard_id)s and seq > %(after_seq)s
  order by seq
  limit %(limit)s
) as page
where bytes_before < %(page_bytes)s
order by seq
