-- The key is unique here too: a second order for one key is impossible even by a bug.
insert into customer_order (
  status, customer_id, restaurant_id, total_cents,
  delivery_address, delivery_latitude, delivery_longitude, items, saga_id, action_key
) values (
  :status, :customer_id, :restaurant_id, :total_cents,
  :delivery_address, :delivery_latitude, :delivery_longitude, :items, :saga_id, :action_key
)
returning *
