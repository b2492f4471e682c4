-- In the transaction of the call's effect: the list of calls agrees with the effects.
insert into call (method, path, key, saga_id, step, attempt, status, replayed)
values (:method, :path, :key, :saga_id, :step, :attempt, :status, :replayed)
