-- That version, or the newest; the primary key serves both.
select kind, name, version, content, put_at
from document
where kind = %(kind)s
  and name = %(name)s
  and version = coalesce(%(version)s::integer, version)
order by version desc
limit 1
