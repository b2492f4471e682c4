-- Before the migration itself, in its transaction: applied and recorded, or neither. Of nodes that start together one
-- gets this row, and the others wait until it is committed or rolled back.
insert into migration (room, number, name, sha256)
values (%(room)s, %(number)s, %(name)s, %(sha256)s)
