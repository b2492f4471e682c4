-- Whether a saga is paused: operators look for those that only a resume lets go on.
alter table saga_status add column paused boolean not null default false;

-- A pause writes no other column that is indexed, and there are few of them.
create index paused_saga on saga_status (saga_id) where paused;

-- Rows that are there say nothing of it: the next start folds them anew from the log.
delete from saga_status;
update projection_checkpoint set seq = 0 where projection = 'saga_status';
