-- Events of sagas between two positions in each shard. Each shard contributes a prefix of its matching events, in order
-- of seq, whatever its clock did: its events are merged with those of other shards by the latest time that the shard has
-- shown so far. Lateral joins with a limit use the primary keys however large the log is; the saga's type is looked up
-- only if the filter needs it. The last event is the one that fills the page: the length of a payload is known without
-- reading it.
with wanted as (
  select event.shard_id, event.seq, event.recorded_at, event.bytes
  from unnest(%(shard_id)s::integer[], %(after)s::bigint[], %(upto)s::bigint[])
    as part (shard_id, after, upto)
  cross join lateral (
    select shard_id, seq, recorded_at, octet_length(payload) as bytes
    from event
    where event.shard_id = part.shard_id and event.seq > part.after and event.seq <= part.upto
      and event.type <> 'ShardOwned'
      and (%(types)s::text[] is null or event.type = any(%(types)s::text[]))
      and (%(saga_type)s::text is null or %(saga_type)s::text = (
        select saga_type from saga_status where saga_status.saga_id = event.stream_id
      ))
    order by event.seq
    limit %(limit)s
  ) as event
),
merged as (
  select shard_id, seq, bytes, max(recorded_at) over (partition by shard_id order by seq) as shown_at
  from wanted
  order by shown_at, shard_id, seq
  limit %(limit)s
),
page as (
  select shard_id, seq, shown_at,
         sum(bytes) over (order by shown_at, shard_id, seq) - bytes as bytes_before
  from merged
)
select event.shard_id, event.seq, event.stream_id::text as stream_id, event.version, event.epoch,
       event.type, event.schema_version, event.recorded_at, event.payload, event.hash
from page
cross join lateral (
  select * from event where event.shard_id = page.shard_id and event.seq = page.seq limit 1
) as event
where page.bytes_before < %(page_bytes)s
order by page.shown_at, page.shard_id, page.seq
