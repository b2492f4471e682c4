-- Fails if the file cannot be read, which is what a health check is for.
select count(*) as calls from call
