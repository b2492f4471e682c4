-- Identify this session. Process ids are reused; a process id and its start together are unique.
select pid, extract(epoch from backend_start)::text as started
from pg_stat_activity
where pid = pg_backend_pid()
