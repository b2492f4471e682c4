-- Safe to repeat: a message is there once.
insert into message (message_id, shard_id, sender, body, sent_at)
values (%(message_id)s::uuid, %(shard_id)s, %(sender)s::uuid, %(body)s, clock_timestamp())
on conflict (message_id) do nothing
