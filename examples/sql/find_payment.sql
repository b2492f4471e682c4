-- By its number; no row if it was never taken.
select * from payment where payment_id = :payment_id
