-- From here on its tasks are pending. Safe to repeat. Changes nothing if another job has the key: of requests with one
-- key that arrive together, one makes the job.
insert into job (job_id, content, content_version, matched, started_at, key, digest)
values (
  %(job_id)s::uuid, %(content)s, %(content_version)s, %(matched)s, %(started_at)s, %(key)s, %(digest)s
)
on conflict do nothing
