-- The first answer counts.
update message
set answer = %(answer)s, answered_at = clock_timestamp()
where message_id = %(message_id)s::uuid and answer is null
