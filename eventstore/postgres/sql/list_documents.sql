-- Documents never change, so a reader sees each of them whole while others are put. Bytes decide the order.
select kind, name, version, content, put_at
from document
where kind = %(kind)s
order by convert_to(name, 'UTF8'), version
