-- Setting the status it has is allowed, so that a repeat succeeds.
update customer_order set status = :status where order_id = :order_id returning *
