-- Appends only add after the last version, so pages never shift. A page ends with the event that fills it: the length of a
-- payload is known without reading it, so what is left out costs nothing.
select shard_id, seq, stream_id, version, epoch, type, schema_version, recorded_at, payload, hash
from (
  select shard_id, seq, stream_id::text as stream_id, version, epoch, type, schema_version, recorded_at, payload, hash,
         sum(octet_length(payload)) over (order by version) - octet_length(payload) as bytes_before
  from event
  where shard_id = %(shard_id)s
    and stream_id = %(stream_id)s::uuid
    and version > %(after_version)s
  order by version
  limit %(limit)s
) as page
where bytes_before < %(page_bytes)s
order by version
