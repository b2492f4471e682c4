-- Executed before their job is deleted, some thousands at a time: the first ones, up to the stream that has the number
-- of the limit. As a range of the primary key they are read once, whatever statistics the planner has.
delete from job_task
where job_id = %(job_id)s::uuid
  and stream_id <= coalesce(
    (
      select task.stream_id
      from job_task as task
      where task.job_id = %(job_id)s::uuid
      order by task.stream_id
      limit 1 offset %(limit)s::integer - 1
    ),
    'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
  )
