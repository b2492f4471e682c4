-- Instants are read as UTC; each statement sees what was committed before it began.
select
  set_config('TimeZone', 'UTC', false),
  set_config('default_transaction_isolation', 'read committed', false)
