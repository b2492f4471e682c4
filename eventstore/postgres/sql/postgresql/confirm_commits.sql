-- Written to the write-ahead log behind all that was committed before, so that the commit of this statement waits for
-- the standbys that those commits had to wait for.
select pg_logical_emit_message(true, 'event log', '')
