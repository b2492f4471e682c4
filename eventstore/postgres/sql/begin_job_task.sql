-- Changes no row if the job was cancelled before the task was begun. Of this and a cancel one waits for the other, so
-- whoever sees that the job is cancelled sees all tasks that were begun before. Tasks of one job share the lock.
with locked_job as (
  select job.finished_at from job where job.job_id = %(job_id)s::uuid for share
)
update job_task as task
set begun_at = coalesce(task.begun_at, %(begun_at)s)
from locked_job
where task.job_id = %(job_id)s::uuid and task.shard_id = %(shard_id)s and task.stream_id = %(stream_id)s::uuid
  and task.ended_at is null
  and (locked_job.finished_at is null or task.begun_at is not null)
