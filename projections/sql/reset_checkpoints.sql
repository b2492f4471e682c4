-- Locks the checkpoints until the end of the transaction: another projector waits, and then gets a checkpoint conflict.
update projection_checkpoint set seq = 0 where projection = %(projection)s
