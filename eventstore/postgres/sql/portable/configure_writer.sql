-- Behind an uncommitted row of another session the writer waits for `lock_timeout`, not for ever.
select set_config('lock_timeout', %(lock_timeout)s, false)
