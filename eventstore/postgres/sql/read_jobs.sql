-- Jobs, newest first, with the numbers of the outcomes of their tasks so far.
select job.job_id::text as job_id, job.content, job.matched, job.started_at, job.finished_at, job.cancelled,
  job.cancelled_by,
  coalesce(job.done, (select count(*) from job_task as task
    where task.job_id = job.job_id and task.ended_at is not null and task.refusal is null)) as done,
  coalesce(job.refused, (select count(*) from job_task as task
    where task.job_id = job.job_id and task.refusal is not null)) as refused
from job
where job.job_id < %(before)s::uuid
order by job.job_id desc
limit %(limit)s
