-- A page of the tasks of a job with their outcomes so far, all of them or the refused ones.
select stream_id::text as stream_id, begun_at, ended_at, refusal
from job_task
where job_id = %(job_id)s::uuid
  and stream_id > %(after)s::uuid
  and (not %(refused)s or refusal is not null)
order by stream_id
limit %(limit)s
