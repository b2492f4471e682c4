-- Changes no row if the job was cancelled before the task was begun.
update job_task as task
set begun_at = coalesce(task.begun_at, %(begun_at)s)
from job
where task.job_id = %(job_id)s::uuid and task.shard_id = %(shard_id)s and task.stream_id = %(stream_id)s::uuid
  and job.job_id = task.job_id
  and task.ended_at is null
  and (job.finished_at is null or task.begun_at is not null)
