-- Asked in the transaction that applies what is missing.
select number, sha256
from migration
where room = %(room)s
order by number
