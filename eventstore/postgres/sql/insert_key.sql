-- The first claim of a key wins: a later one waits until the first has committed, and then changes nothing.
insert into stream_key (key, digest, stream_id, claimed_at)
values (%(key)s, %(digest)s, %(stream_id)s::uuid, %(claimed_at)s)
on conflict (key) do nothing
