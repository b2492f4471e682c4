-- * A plan made while the table was empty is 2.6 times slower later: allow only the plan by index.
-- * Behind an uncommitted row of another session the writer waits for `lock_timeout`, not for ever.
select
  set_config('plan_cache_mode', 'force_generic_plan', false),
  set_config('enable_seqscan', 'off', false),
  set_config('enable_hashjoin', 'off', false),
  set_config('enable_mergejoin', 'off', false),
  set_config('lock_timeout', %(lock_timeout)s, false)
