-- A page of the pending tasks of a job in these shards.
select task.job_id::text as job_id, task.stream_id::text as stream_id
from job
join job_task as task using (job_id)
where task.job_id = %(job_id)s::uuid
  and task.ended_at is null
  and (job.finished_at is null or task.begun_at is not null)
  and task.shard_id = any(%(shard_ids)s::integer[])
  and task.stream_id > %(after)s::uuid
order by task.stream_id
limit %(limit)s
