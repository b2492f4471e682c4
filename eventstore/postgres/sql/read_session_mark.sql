-- The mark of this session. A mark of another connection is visible only if a pooler shares sessions.
select current_setting('event_log.session', true) as mark
