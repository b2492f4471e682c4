-- Goes with the session, so the others see at once that its process is gone. It guards nothing.
select pg_advisory_lock(hashtextextended(%(node_id)s::text, 0))
