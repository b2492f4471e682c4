-- A job, with the numbers of the outcomes of its tasks so far. They are counted only while they can change.
select job.job_id::text as job_id, job.content, job.content_version, job.matched, job.started_at, job.finished_at,
  job.cancelled, job.cancelled_by, job.key, job.digest, coalesce(job.done, ended.done) as done,
  coalesce(job.refused, ended.refused) as refused
from job
cross join lateral (
  select count(*) filter (where task.refusal is null) as done, count(task.refusal) as refused
  from job_task as task
  where job.done is null and task.job_id = job.job_id and task.ended_at is not null
) as ended
where job.job_id = %(job_id)s::uuid
