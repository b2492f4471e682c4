-- A page of the tasks of a job with their outcomes so far.
select task.stream_id::text as stream_id, task.begun_at, task.ended_at, task.refusal,
  (job.cancelled and task.begun_at is null and task.ended_at is null) as is_left
from job
join job_task as task using (job_id)
where task.job_id = %(job_id)s::uuid
  and task.stream_id > %(after)s::uuid
order by task.stream_id
limit %(limit)s
