-- The first outcome of a task counts.
update job_task
set ended_at = %(ended_at)s, refusal = %(refusal)s
where job_id = %(job_id)s::uuid and shard_id = %(shard_id)s and stream_id = %(stream_id)s::uuid and ended_at is null
