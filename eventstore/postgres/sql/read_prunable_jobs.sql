-- Ids of jobs whose tasks can be deleted: jobs that finished long ago, and jobs that never were recorded although their
-- tasks were, long ago. The ids are found one after the other, each by an index: other tasks are not read.
with recursive known (job_id) as (
  (select task.job_id from job_task as task where task.job_id < %(before)s::uuid order by task.job_id limit 1)
  union all
  select (
    select task.job_id
    from job_task as task
    where task.job_id > known.job_id and task.job_id < %(before)s::uuid
    order by task.job_id
    limit 1
  )
  from known
  where known.job_id is not null
)
select known.job_id::text as job_id
from known
left join job on job.job_id = known.job_id
where known.job_id is not null and (job.job_id is null or job.finished_at < %(finished_before)s)
order by known.job_id
limit %(limit)s
