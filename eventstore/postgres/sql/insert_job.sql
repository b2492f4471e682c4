-- From here on its tasks are pending. Safe to repeat.
insert into job (job_id, content, matched, started_at)
values (%(job_id)s::uuid, %(content)s, %(matched)s, %(started_at)s)
on conflict (job_id) do nothing
