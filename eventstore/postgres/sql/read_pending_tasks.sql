-- A page of the pending tasks of a job in these shards, shard after shard, in each after a stream. The page is not
-- ordered as a whole, which would read a page of every shard: a task that one page leaves out is in a later one.
select task.job_id::text as job_id, task.stream_id::text as stream_id
from job
cross join unnest(%(shard_ids)s::integer[], %(after)s::uuid[]) as owned (shard_id, after)
cross join lateral (
  select pending.job_id, pending.stream_id
  from job_task as pending
  where pending.job_id = job.job_id
    and pending.shard_id = owned.shard_id
    and pending.stream_id > owned.after
    and pending.ended_at is null
    and (job.finished_at is null or pending.begun_at is not null)
  order by pending.stream_id
  limit %(limit)s
) as task
where job.job_id = %(job_id)s::uuid
limit %(limit)s
