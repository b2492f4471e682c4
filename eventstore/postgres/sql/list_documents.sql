-- Documents never change, so whoever reads while others put sees each one whole. Bytes decide the order.
select kind, name, version, content, put_at
from document
where kind = %(kind)s
order by convert_to(name, 'UTF8'), version
