-- By the key of the call that took it; unique.
select * from payment where action_key = :action_key
