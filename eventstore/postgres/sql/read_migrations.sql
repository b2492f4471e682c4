-- Executed in the transaction that applies the missing ones.
select number, sha256
from migration
where room = %(room)s
order by number
