-- The rows that the log has where a batch should be: decides whether an append was written whose response was lost.
select event.shard_id, event.seq, event.hash
from unnest(%(shard_ids)s::integer[], %(seqs)s::bigint[]) as wanted (shard_id, seq)
join event on event.shard_id = wanted.shard_id and event.seq = wanted.seq
