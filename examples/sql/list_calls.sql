-- Oldest first. Never more than are kept; the limit is a second fence.
select method, path, key, saga_id, step, attempt, status, replayed
from call order by call_id limit :limit
