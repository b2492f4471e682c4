-- What the server calls this session. A process id is given again one day, together with the start it is not.
select pid, extract(epoch from backend_start)::text as started
from pg_stat_activity
where pid = pg_backend_pid()
