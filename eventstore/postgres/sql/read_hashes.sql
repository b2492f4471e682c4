-- What really stands where a batch should stand: settles an append whose answer was lost.
select event.shard_id, event.seq, event.hash
from unnest(%(shard_ids)s::integer[], %(seqs)s::bigint[]) as wanted (shard_id, seq)
join event on event.shard_id = wanted.shard_id and event.seq = wanted.seq
