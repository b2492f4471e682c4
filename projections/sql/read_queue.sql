-- Parked sagas, the longest waiting first. The conditions are those of `read_page`; a parked saga has no current step.
-- A partial index of the parked sagas is read in order.
select saga_id::text as saga_id, saga_type, definition_version, entity_id, status, current_step, error, parked_at, parked,
       paused, tags, version, created_at, updated_at
from saga_status
where parked_at is not null
  and (%(after)s::uuid is null
       or (parked_at, saga_id) > (%(parked_at)s::timestamptz, %(after)s::uuid))
  and (%(saga_type)s::text is null or saga_type = %(saga_type)s::text)
  and (%(paused)s::boolean is null or paused = %(paused)s::boolean)
  and (%(step)s::text is null or current_step = %(step)s::text)
  and (%(entity_id)s::text is null or entity_id #>> '{}' = %(entity_id)s::text)
  and (%(tags)s::jsonb is null or tags @> %(tags)s::jsonb)
  and (%(started_after)s::timestamptz is null or created_at > %(started_after)s::timestamptz)
  and (%(started_before)s::timestamptz is null or created_at < %(started_before)s::timestamptz)
  and (%(error)s::text is null or strpos(lower(error), lower(%(error)s::text)) > 0)
order by parked_at, saga_status.saga_id
limit %(limit)s
