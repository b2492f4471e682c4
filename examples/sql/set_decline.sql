-- One row, written over.
insert into decline_switch (only_row, declined) values (1, :declined)
on conflict (only_row) do update set declined = excluded.declined
