-- Numbers are dense, because nothing else is deleted: the newest :kept stay.
delete from call where call_id <= (select max(call_id) from call) - :kept
