-- Whether the database responds, and accepts writes. No table is read, for another session could have locked it.
select current_setting('transaction_read_only')::boolean as read_only
