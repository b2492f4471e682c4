-- * Instants are read as UTC; each statement sees what was committed before it began.
-- * A peer that is gone is noticed within half a minute, where the system can: without these the server keeps the
--   session of a lost connection for two hours, with all that it holds.
select
  set_config('TimeZone', 'UTC', false),
  set_config('default_transaction_isolation', 'read committed', false),
  (
    select count(set_config(name, wanted, false))
    from pg_settings
    join (
      values
        ('tcp_keepalives_idle', '10'),
        ('tcp_keepalives_interval', '5'),
        ('tcp_keepalives_count', '3'),
        ('tcp_user_timeout', '25000'),
        ('client_connection_check_interval', '5000')
    ) as of_ours (setting_name, wanted)
      on name = setting_name
  )
