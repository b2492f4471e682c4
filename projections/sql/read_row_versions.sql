-- The version of each of these sagas in the status table, by its primary key.
select row.saga_id::text as saga_id, row.version
from unnest(%(saga_id)s::uuid[]) as wanted (saga_id)
join saga_status as row on row.saga_id = wanted.saga_id
