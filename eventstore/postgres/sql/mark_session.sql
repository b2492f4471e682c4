-- A setting of this session alone, unless somebody between us and the database shares sessions out.
select set_config('event_log.session', %(token)s, false)
