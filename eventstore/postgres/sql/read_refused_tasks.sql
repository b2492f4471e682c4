-- A page of the refused tasks of each of these jobs. It is a statement of its own because a prepared plan for "all or
-- the refused ones" could not use their index.
select task.job_id::text as job_id, task.stream_id::text as stream_id, task.begun_at, task.ended_at, task.refusal
from unnest(%(job_ids)s::uuid[]) as wanted (job_id)
join job using (job_id)
cross join lateral (
  select refused.job_id, refused.stream_id, refused.begun_at, refused.ended_at, refused.refusal
  from job_task as refused
  where refused.job_id = job.job_id and refused.refusal is not null and refused.stream_id > %(after)s::uuid
  order by refused.stream_id
  limit %(limit)s
) as task
order by task.job_id, task.stream_id
