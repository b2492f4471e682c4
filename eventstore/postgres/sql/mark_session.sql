-- A setting of this session alone, unless a pooler between this node and the database shares sessions.
select set_config('event_log.session', %(token)s, false)
