-- Executed after their tasks are deleted.
delete from job
where finished_at < %(finished_before)s
  and (
    select 1 from job_task as task where task.job_id = job.job_id order by task.stream_id limit 1
  ) is null
