-- The owner of a shard regularly deletes the messages to it that were answered long ago, and looks for them by this.
create index answered_message on message (shard_id, answered_at) where answered_at is not null;
