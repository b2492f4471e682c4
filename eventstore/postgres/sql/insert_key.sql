-- The first one wins; whoever comes later waits for an undecided first one and then changes nothing.
insert into stream_key (key, digest, stream_id, claimed_at)
values (%(key)s, %(digest)s, %(stream_id)s::uuid, %(claimed_at)s)
on conflict (key) do nothing
