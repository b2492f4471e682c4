-- Sessions whose connection is lost on our side. One that waits for a standby is not ended: its rows would
-- become visible before the standby has them.
select pg_terminate_backend(pid)
from pg_stat_activity
join unnest(%(pids)s::integer[], %(started)s::text[]) as lost (lost_pid, started)
  on pid = lost_pid and extract(epoch from backend_start)::text = started
where wait_event is distinct from 'SyncRep'
