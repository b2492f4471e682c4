-- Whole streams of a shard, from one position in the order of the unique key to the next: one range of its index,
-- wherever it begins. Events after `upto` were appended after the audit began, and are left out. A page ends with the event
-- that fills it: the length of a payload is known without reading it.
select shard_id, seq, stream_id::text as stream_id, version, epoch, type, schema_version, recorded_at, payload, hash
from (
  select shard_id, seq, stream_id, version, epoch, type, schema_version, recorded_at, payload, hash,
         sum(octet_length(payload)) over (order by stream_id, version) - octet_length(payload) as bytes_before
  from event
  where shard_id = %(shard_id)s
    and (stream_id, version) > (%(after_stream)s::uuid, %(after_version)s::integer)
    and seq <= %(upto)s
  order by stream_id, version
  limit %(limit)s
) as page
where bytes_before < %(page_bytes)s
order by page.stream_id, page.version
