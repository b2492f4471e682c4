-- The key is unique here too: a second payment for one key is impossible even by a bug.
insert into payment (status, order_id, amount_cents, payment_method, saga_id, action_key)
values (:status, :order_id, :amount_cents, :payment_method, :saga_id, :action_key)
returning *
