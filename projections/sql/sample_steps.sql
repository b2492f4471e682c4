-- Recent results of steps: the newest events of each shard, from the end of its range in the primary key. A payload is
-- canonical JSON with the step first; its beginning is read as bytes, because a damaged payload must not make the
-- statement fail.
select saga_type, step,
       count(*) filter (where type = 'StepSucceeded') as succeeded,
       count(*) filter (where type = 'StepRejected') as rejected,
       count(*) filter (where type = 'StepUnknown') as unknown,
       count(*) filter (where type = 'StepNotSent') as not_sent,
       count(*) filter (where type = 'StepBackedOff') as backed_off,
       count(*) filter (where type = 'CompensationSucceeded') as compensated,
       count(*) filter (where type = 'CompensationFailed') as compensation_failed
from (
  select event.type,
         (select saga_type from saga_status where saga_id = event.stream_id) as saga_type,
         substring(encode(substring(event.payload from 1 for 80), 'escape') from '^{"step":"([^"]*)"')
           as step
  from unnest(%(shard_id)s::integer[]) as shard (id)
  cross join lateral (
    select stream_id, type, recorded_at, payload
    from event
    where event.shard_id = shard.id
    order by event.seq desc
    limit %(newest)s
  ) as event
  where event.recorded_at > %(since)s
    and event.type in (
      'StepSucceeded', 'StepRejected', 'StepUnknown', 'StepNotSent', 'StepBackedOff',
      'CompensationSucceeded', 'CompensationFailed'
    )
) as lately
where saga_type is not null and step is not null
group by saga_type, step
order by saga_type, step
