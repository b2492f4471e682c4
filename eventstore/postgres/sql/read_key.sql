-- A statement of its own: its snapshot must be younger than the insert it follows.
select stream_id::text as stream_id, digest
from stream_key
where key = %(key)s
