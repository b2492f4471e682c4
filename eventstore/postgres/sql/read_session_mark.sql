-- What another session has set is not seen here.
select current_setting('event_log.session', true) as mark
