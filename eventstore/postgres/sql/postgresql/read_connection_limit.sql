-- The least of the limits of server, database and user; null if there is none. Connections of other clients count as
-- well, so this is an upper bound.
select least(
  case when not (select rolsuper from pg_roles where rolname = current_user)
    then current_setting('max_connections')::integer
      - current_setting('superuser_reserved_connections')::integer
      - coalesce(current_setting('reserved_connections', true), '0')::integer
    else current_setting('max_connections')::integer
  end,
  nullif((select datconnlimit from pg_database where datname = current_database()), -1),
  nullif((select rolconnlimit from pg_roles where rolname = session_user), -1)
) as allowed
