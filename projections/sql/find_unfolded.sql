-- The shards in which the status table is behind the log: its checkpoint, and the newest event. One look-up in the
-- primary key per shard.
select shard_id, seq, head
from (
  select shard_id, seq, (select max(seq) from event where event.shard_id = checkpoint.shard_id) as head
  from projection_checkpoint as checkpoint
  where projection = %(projection)s
) as shard
where seq < head
