-- Sagas by type and status, from the index alone.
select saga_type, status, count(*) as sagas
from saga_status
where %(statuses)s::text[] is null or status = any(%(statuses)s::text[])
group by saga_type, status
order by saga_type, status
