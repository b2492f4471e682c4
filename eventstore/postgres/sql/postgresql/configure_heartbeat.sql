-- A heartbeat is soon followed by the next: it need not survive a power cut, nor wait for a standby.
select set_config('synchronous_commit', 'off', false)
