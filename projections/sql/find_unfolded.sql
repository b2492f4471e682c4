-- The shards that the status view is behind in: how far it has come, and what was recorded last. One look-up in the
-- primary key a shard.
select shard_id, seq, head
from (
  select shard_id, seq, (select max(seq) from event where event.shard_id = checkpoint.shard_id) as head
  from projection_checkpoint as checkpoint
  where projection = %(projection)s
) as shard
where seq < head
