-- After their tasks.
delete from job where finished_at < %(finished_before)s
