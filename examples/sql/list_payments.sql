-- Newest first; all sagas where none is named.
select * from payment
where :saga_id is null or saga_id = :saga_id
order by payment_id desc limit :limit
