-- Newest first; all sagas where none is named.
select * from customer_order
where :saga_id is null or saga_id = :saga_id
order by order_id desc limit :limit
