-- A bounded number of messages to these shards that were answered long ago. No node reads them any more: owners read
-- messages without an answer, and the sender has stopped waiting for it.
delete from message
where message_id in (
  select message_id
  from message
  where shard_id = any(%(shard_ids)s::integer[])
    and answered_at < clock_timestamp() - %(after)s::interval
  limit %(limit)s
)
