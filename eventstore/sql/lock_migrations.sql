-- Nodes that start together take turns; the lock goes with the transaction. The number is only a name.
select pg_advisory_xact_lock(7305813316204331)
