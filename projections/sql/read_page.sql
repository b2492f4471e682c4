-- Sagas below an id, newest first. A condition that is null holds for all sagas. The filter on the error is a plain
-- text, not a pattern; which letters are lower and upper case of each other depends on the locale.
select saga_id::text as saga_id, saga_type, definition_version, entity_id, status, current_step, error, parked_at, parked,
       paused, tags, version, created_at, updated_at
from saga_status
where (%(after)s::uuid is null or saga_id < %(after)s::uuid)
  and (%(saga_type)s::text is null or saga_type = %(saga_type)s::text)
  and (%(status)s::text is null or status = %(status)s::text)
  and (%(paused)s::boolean is null or (paused and %(paused)s::boolean)
       or (not paused and not %(paused)s::boolean))
  and (%(step)s::text is null or (not rests and current_step = %(step)s::text))
  and (%(entity_id)s::text is null or entity_id #>> '{}' = %(entity_id)s::text)
  and (%(tags)s::jsonb is null or tags @> %(tags)s::jsonb)
  and (%(started_after)s::timestamptz is null or created_at > %(started_after)s::timestamptz)
  and (%(started_before)s::timestamptz is null or created_at < %(started_before)s::timestamptz)
  and (%(error)s::text is null
       or (error is not null and strpos(lower(error), lower(%(error)s::text)) > 0))
order by saga_status.saga_id desc
limit %(limit)s
