-- The first outcome of a task counts.
update job_task as task
set ended_at = %(ended_at)s, refusal = ended.refusal
from unnest(%(job_ids)s::uuid[], %(stream_ids)s::uuid[], %(refusals)s::text[]) as ended (job_id, stream_id, refusal)
where task.job_id = ended.job_id and task.stream_id = ended.stream_id and task.ended_at is null
