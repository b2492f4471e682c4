select kind, name, version, content, put_at
from document
where kind = %(kind)s
order by name collate "C", version
