-- Two claims must never look alike: the database draws the token that distinguishes them.
select gen_random_uuid()::text as token
