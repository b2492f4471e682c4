-- A version that exists stays as it is; the row count says whether this is a new one.
insert into document (kind, name, version, content, put_at)
values (%(kind)s, %(name)s, %(version)s, %(content)s, %(put_at)s)
on conflict (kind, name, version) do nothing
