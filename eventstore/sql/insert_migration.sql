-- In the transaction of the migration itself: applied and recorded, or neither.
insert into migration (room, number, name, sha256)
values (%(room)s, %(number)s, %(name)s, %(sha256)s)
