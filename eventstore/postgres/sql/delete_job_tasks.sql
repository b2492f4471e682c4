-- Executed before their jobs are deleted, some thousands at a time: the tasks of jobs that finished long ago, and tasks
-- that were recorded long ago for a job that never was recorded.
delete from job_task
where (job_id, stream_id) in (
  select task.job_id, task.stream_id
  from job_task as task
  left join job on job.job_id = task.job_id
  where task.job_id < %(before)s::uuid and (job.job_id is null or job.finished_at < %(finished_before)s)
  limit %(limit)s
)
