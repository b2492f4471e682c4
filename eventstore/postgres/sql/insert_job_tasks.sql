-- Executed before the job is inserted: tasks without a job are not executed. Safe to repeat.
insert into job_task (job_id, stream_id, shard_id)
select %(job_id)s::uuid, task.stream_id, task.shard_id
from unnest(%(stream_ids)s::uuid[], %(shard_ids)s::integer[]) as task (stream_id, shard_id)
on conflict (job_id, stream_id) do nothing
