-- * What bytes mean must not depend on settings of the user, the database or the environment.
-- * Each statement sees what was committed before it began, and what was confirmed survives a power cut, whatever
--   the server's default is; a stricter default is kept.
-- * A lost peer is noticed within half a minute, where the system supports that: without these settings the server keeps
--   the session of a lost connection for two hours, with all its locks.
select
  set_config('client_encoding', 'UTF8', false),
  set_config('TimeZone', 'UTC', false),
  set_config('DateStyle', 'ISO, MDY', false),
  set_config('IntervalStyle', 'postgres', false),
  set_config('bytea_output', 'hex', false),
  set_config('extra_float_digits', '1', false),
  set_config('standard_conforming_strings', 'on', false),
  set_config('array_nulls', 'on', false),
  set_config('transform_null_equals', 'off', false),
  set_config('exit_on_error', 'off', false),
  set_config('default_transaction_isolation', 'read committed', false),
  set_config('default_transaction_deferrable', 'off', false),
  set_config(
    'synchronous_commit',
    case when current_setting('synchronous_commit') in ('off', 'local') then 'on'
         else current_setting('synchronous_commit') end,
    false
  ),
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
