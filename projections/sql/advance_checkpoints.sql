-- Compare and set: a projector that has been overtaken changes fewer rows than it asks for, and aborts. So does one that
-- is ahead of the log, which happens if the database went back to an older state: what it was told is not true any more.
update projection_checkpoint as checkpoint
set seq = next.seq
from unnest(%(shard_id)s::integer[], %(before)s::bigint[], %(seq)s::bigint[])
  as next (shard_id, before, seq)
where checkpoint.projection = %(projection)s
  and checkpoint.shard_id = next.shard_id
  and checkpoint.seq = next.before
  and (next.seq > (select max(seq) from event where event.shard_id = next.shard_id)) is not true
