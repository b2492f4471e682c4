-- Setting the status it has is allowed, so that a repeat succeeds.
update payment set status = :status where payment_id = :payment_id returning *
