-- Of the messages that somebody waits for here.
select message_id::text as message_id, answer
from message
where answer is not null and message_id = any(%(message_ids)s::uuid[])
