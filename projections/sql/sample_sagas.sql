-- The ends and durations of the newest sagas. An id begins with the time of the start, so the primary key gives
-- the newest ones, and the sample is bounded whatever the size of the table.
select saga_type,
       count(*) as rested,
       count(*) filter (where status <> 'completed') as failed,
       percentile_cont(0.5) within group (order by took) as p50_seconds,
       percentile_cont(0.95) within group (order by took) as p95_seconds
from (
  select saga_type, status, rests, created_at,
         extract(epoch from updated_at - created_at)::double precision as took
  from saga_status
  order by saga_id desc
  limit %(newest)s
) as newest
where rests and created_at > %(since)s
group by saga_type
order by saga_type
