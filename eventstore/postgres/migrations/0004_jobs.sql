-- One task for many streams, recorded before any of it is done, so that a crash loses nothing of it.
-- The owner of a shard does what is pending for the streams of that shard.

create table job (
  job_id      uuid        not null,
  content     bytea       not null,
  matched     integer     not null,
  started_at  timestamptz not null,
  finished_at timestamptz,
  cancelled   boolean     not null default false,
  cancelled_by text,
  done        integer, -- and refused: the numbers of tasks, once none of them can change
  refused     integer,
  constraint job_is_started_once primary key (job_id)
);

create table job_task (
  job_id    uuid    not null,
  stream_id uuid    not null,
  shard_id  integer not null,
  begun_at  timestamptz, -- set before the first attempt: a cancel leaves out what has none
  ended_at  timestamptz,
  refusal   text, -- null of an ended task: it was done
  constraint job_has_one_task_for_a_stream primary key (job_id, stream_id),
  constraint shard_id_is_a_shard check (shard_id between 0 and 63)
);

-- The owners of shards ask for these once a second, and there are few of them.
create index unsettled_job on job (started_at) where done is null;
create index pending_job_task on job_task (job_id, shard_id) where ended_at is null;
