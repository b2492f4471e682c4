-- What such a system shows is what it keeps.
select true
