-- Whether the database answers at all; a table could be locked by somebody.
select 1 as answer
