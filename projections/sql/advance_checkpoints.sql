-- Compare and set: a projector that has been overtaken changes fewer rows than it asks for, and aborts.
update projection_checkpoint as checkpoint
set seq = next.seq
from unnest(%(shard_id)s::integer[], %(before)s::bigint[], %(seq)s::bigint[])
  as next (shard_id, before, seq)
where checkpoint.projection = %(projection)s
  and checkpoint.shard_id = next.shard_id
  and checkpoint.seq = next.before
