-- Two claims must never look alike: the database draws what tells them apart.
select gen_random_uuid()::text as token
