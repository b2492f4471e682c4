-- Jobs, newest first, each as read_job reads it.
select job.job_id::text as job_id, job.content, job.content_version, job.matched, job.started_at, job.finished_at,
  job.cancelled, job.cancelled_by, job.key, job.digest, coalesce(job.done, ended.done) as done,
  coalesce(job.refused, ended.refused) as refused
from job
cross join lateral (
  select count(*) filter (where task.refusal is null) as done, count(task.refusal) as refused
  from job_task as task
  where job.done is null and task.job_id = job.job_id and task.ended_at is not null
) as ended
where job.job_id < %(before)s::uuid
order by job.job_id desc
limit %(limit)s
