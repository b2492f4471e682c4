-- Jobs with something pending in these shards, oldest first: job ids begin with their time. Tasks that were begun
-- before a cancel are finished.
select job.job_id::text as job_id, job.content
from job
where (job.finished_at is null or job.done is null)
  and exists (
    select 1 from job_task as task
    where task.job_id = job.job_id and task.ended_at is null
      and (job.finished_at is null or task.begun_at is not null)
      and task.shard_id = any(%(shard_ids)s::integer[])
  )
order by job.job_id
