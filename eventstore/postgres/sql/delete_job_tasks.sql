-- Before their jobs: those of jobs that finished long ago, and those that were recorded long ago for a job that never was.
delete from job_task
where job_id < %(before)s::uuid
  and not exists (
    select 1 from job
    where job.job_id = job_task.job_id and (job.finished_at is null or job.finished_at >= %(finished_before)s)
  )
