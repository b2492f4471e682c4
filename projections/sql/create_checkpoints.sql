-- Safe to repeat, and to run from several nodes at once.
insert into projection_checkpoint (projection, shard_id, seq)
select %(projection)s, shard_id, 0 from unnest(%(shard_id)s::integer[]) as shard (shard_id)
on conflict do nothing
