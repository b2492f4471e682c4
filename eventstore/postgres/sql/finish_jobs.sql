-- The jobs whose tasks all have their final outcome, with the numbers of the outcomes. Of several nodes the one that
-- ends the last task sees that it was the last.
update job
set finished_at = coalesce(finished_at, %(finished_at)s),
  done = (select count(*) from job_task as task
    where task.job_id = job.job_id and task.ended_at is not null and task.refusal is null),
  refused = (select count(*) from job_task as task where task.job_id = job.job_id and task.refusal is not null)
where done is null
  and not exists (
    select 1 from job_task as task
    where task.job_id = job.job_id and task.ended_at is null
      and (job.finished_at is null or task.begun_at is not null)
  )
