-- A heartbeat by the database's clock, which all nodes share. Safe to repeat.
insert into node as known (node_id, started_at, seen_at, leaving)
values (%(node_id)s::uuid, clock_timestamp(), clock_timestamp(), %(leaving)s)
on conflict (node_id) do update set seen_at = excluded.seen_at, leaving = excluded.leaving
