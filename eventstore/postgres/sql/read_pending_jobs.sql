-- Jobs with something pending in these shards, oldest first: job ids begin with their time. Tasks that were begun
-- before a cancel are finished. The search for a pending task ends with the first one, as in finish_jobs.
select job.job_id::text as job_id, job.content, job.content_version
from job
where job.done is null
  and (
    select 1
    from unnest(%(shard_ids)s::integer[]) as owned (shard_id)
    cross join lateral (
      select task.stream_id
      from job_task as task
      where task.job_id = job.job_id and task.shard_id = owned.shard_id and task.ended_at is null
        and (job.finished_at is null or task.begun_at is not null)
      order by task.stream_id
      limit 1
    ) as pending
    limit 1
  ) is not null
order by job.job_id
