-- For each shard the last entry of its range in the primary key, whatever the size of the log.
select shard.id as shard_id, newest.seq, newest.epoch, newest.hash
from unnest(%(shard_ids)s::integer[]) as shard (id)
cross join lateral (
  select seq, epoch, hash
  from event
  where event.shard_id = shard.id
  order by event.seq desc
  limit 1
) as newest
