-- What operators work off: since when a saga is parked, and why, with what is not done or not undone.
alter table saga_status add column parked_at timestamptz;
alter table saga_status add column parked jsonb;

-- The one that waits longest comes first.
create index parked_saga on saga_status (parked_at, saga_id) where parked_at is not null;
-- Errors are looked through by their text, newest first. One is written together with a status: no update that was
-- cheap becomes dear. Who is at a step does not rest, and is among the few that are indexed already by shard; here they
-- are in the order of lists.
create index failed_saga on saga_status (saga_id) where error is not null;
create index going_saga on saga_status (saga_id) where not rests;

-- Rows that are there say nothing of it: the next start folds them anew from the log.
delete from saga_status;
update projection_checkpoint set seq = 0 where projection = 'saga_status';
