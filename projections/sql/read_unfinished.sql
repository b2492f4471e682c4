-- The sagas that do not rest, oldest first; idle ones with their next wake-up.
select saga_id, idle, wake_at from saga_status
where not rests and shard_id = any(%(shard_ids)s)
order by created_at, saga_id
