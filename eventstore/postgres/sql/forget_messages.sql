-- Answered, and nobody waits for an answer this long.
delete from message where answered_at < clock_timestamp() - %(after)s::interval
