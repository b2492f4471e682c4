-- The answers that have arrived to messages of this node.
select message_id::text as message_id, answer
from message
where answer is not null and message_id = any(%(message_ids)s::uuid[])
