-- What is pending in these shards, the oldest job first: job ids begin with their time.
select task.job_id::text as job_id, task.stream_id::text as stream_id, job.content
from job
join job_task as task using (job_id)
where job.finished_at is null
  and task.ended_at is null
  and task.shard_id = any(%(shard_ids)s::integer[])
  and (task.job_id, task.stream_id) > (%(after_job)s::uuid, %(after_stream)s::uuid)
order by task.job_id, task.stream_id
limit %(limit)s
