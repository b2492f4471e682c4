-- By its number; no row if it was never made.
select * from customer_order where order_id = :order_id
