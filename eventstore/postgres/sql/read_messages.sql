-- The messages that wait for the owner of these shards, oldest first.
select message_id::text as message_id, shard_id, sender::text as sender, body
from message
where answer is null and shard_id = any(%(shard_ids)s::integer[])
order by sent_at, message_id
limit %(limit)s
