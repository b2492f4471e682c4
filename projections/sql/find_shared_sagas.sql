-- Sagas with more than one idempotency key. Reads all keys: for the doctor, not for a request.
select stream_id::text as saga_id, count(*)::integer as keys
from stream_key
group by stream_id
having count(*) > 1
order by stream_id
