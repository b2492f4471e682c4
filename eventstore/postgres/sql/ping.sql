-- Whether the database answers at all, and would take writes; a table could be locked by another session.
select current_setting('transaction_read_only')::boolean as read_only
