-- Its pending tasks are never begun. A job that has finished stays as it is.
update job
set finished_at = %(finished_at)s, cancelled = true, cancelled_by = %(cancelled_by)s
where job_id = %(job_id)s::uuid and finished_at is null
