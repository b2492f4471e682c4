-- The sagas that do not rest, oldest first.
select saga_id from saga_status
where not rests and shard_id = any(%(shard_ids)s)
order by created_at, saga_id
