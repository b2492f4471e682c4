-- Locks the checkpoints until the end of the transaction: whoever projects meanwhile waits, and is overtaken.
update projection_checkpoint set seq = 0 where projection = %(projection)s
