-- The lock ends with the session, so other nodes see at once that the process is gone. It guards nothing.
select pg_advisory_lock(hashtextextended(%(node_id)s::text, 0))
