"""The shell: appends decisions, sends calls, keeps timers, resumes after a crash."""
