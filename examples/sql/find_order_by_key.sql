-- By the key of the call that made it; unique.
select * from customer_order where action_key = :action_key
