-- A client that repeats a request with its key gets the job that the first request with the key has made. The version
-- of its content tells a node whether it can read it; the content of jobs that were recorded before has version 1.

alter table job add column content_version integer not null default 1;
alter table job add column key text;
alter table job add column digest bytea;
alter table job add constraint key_stands_for_one_job unique (key);
alter table job add constraint key_has_a_digest check ((key is null) = (digest is null));
alter table job add constraint key_fits_in_the_index check (octet_length(key) between 1 and 2000);

-- With this index a page of the pending tasks of a shard costs the same however large the job is, and however many of
-- its tasks are done. The former index had no stream: look-ups of one task by it read all pending tasks of the job.
drop index pending_job_task;
create index pending_task_of_shard on job_task (job_id, shard_id, stream_id) where ended_at is null;
-- For the pages of refused tasks, of which a large job may have few.
create index refused_job_task on job_task (job_id, stream_id) where refusal is not null;
