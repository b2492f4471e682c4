-- The seq of each shard up to which a projection has projected the log.
select shard_id, seq from projection_checkpoint where projection = %(projection)s
