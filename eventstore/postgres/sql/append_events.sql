-- All rows of a batch or none. The first row of a shard is inserted only directly after the head that its writer knows
-- (same epoch, same hash); a new owner occupies the same (shard_id, seq), so this insert violates the primary key. So neither a lock
-- nor a clock is needed, and sending the same batch twice records it once. Returns no rows: the row count says whether the batch was written.
insert into event
  (shard_id, seq, stream_id, version, epoch, type, schema_version, recorded_at, payload, hash)
select *
from unnest(
  %(shard_id)s::integer[], %(seq)s::bigint[], %(stream_id)s::uuid[], %(version)s::integer[],
  %(epoch)s::bigint[], %(type)s::text[], %(schema_version)s::integer[],
  %(recorded_at)s::timestamptz[], %(payload)s::bytea[], %(hash)s::bytea[]
)
where not exists (
  select 1
  from unnest(
    %(head_shard_id)s::integer[], %(head_seq)s::bigint[], %(head_epoch)s::bigint[],
    %(head_hash)s::bytea[]
  ) as head (shard_id, seq, epoch, hash)
  where not exists (
    select 1
    from event
    where event.shard_id = head.shard_id
      and event.seq = head.seq
      and event.epoch = head.epoch
      and event.hash = head.hash
  )
)
