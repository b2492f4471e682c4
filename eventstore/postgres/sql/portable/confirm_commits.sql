-- Such a system shows only rows that are durable.
select true
