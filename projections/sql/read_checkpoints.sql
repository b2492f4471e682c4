-- How far a projection has folded each shard.
select shard_id, seq from projection_checkpoint where projection = %(projection)s
