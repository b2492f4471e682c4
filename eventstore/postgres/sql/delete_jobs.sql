-- Executed after their tasks are deleted.
delete from job where finished_at < %(finished_before)s
