-- The jobs whose tasks all have their final outcome, with the numbers of the outcomes. Of several nodes the one that
-- ends the last task sees that it was the last. The search for a pending task ends with the first one: a subquery with
-- a limit cannot become a join, which would read them all, and its order is that of the index.
update job
set finished_at = coalesce(finished_at, %(finished_at)s),
  (done, refused) = (
    select count(*) filter (where task.refusal is null), count(task.refusal)
    from job_task as task
    where task.job_id = job.job_id and task.ended_at is not null
  )
where done is null
  and (
    select 1
    from job_task as task
    where task.job_id = job.job_id and task.ended_at is null
      and (job.finished_at is null or task.begun_at is not null)
    order by task.shard_id, task.stream_id
    limit 1
  ) is null
