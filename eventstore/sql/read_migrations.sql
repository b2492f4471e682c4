-- Asked under the lock of the migrations: nobody applies one meanwhile.
select number, sha256
from migration
where room = %(room)s
order by number
