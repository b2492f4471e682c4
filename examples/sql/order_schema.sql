-- Autoincrement: the number of a lost order is never given to another one.

create table if not exists customer_order (
  order_id integer primary key autoincrement,
  status text not null check (status in ('PENDING_PAYMENT', 'CONFIRMED', 'CANCELLED')),
  customer_id integer not null,
  restaurant_id integer not null,
  total_cents integer not null check (total_cents > 0),
  delivery_address text not null,
  delivery_latitude real not null,
  delivery_longitude real not null,
  items text not null,
  saga_id text,
  action_key text unique
) strict;

create index if not exists customer_order_of_saga on customer_order (saga_id);

-- A cancelled order stays cancelled, whatever the program says.
create trigger if not exists cancelled_stays_cancelled
before update of status on customer_order
when old.status = 'CANCELLED' and new.status <> 'CANCELLED'
begin
  select raise(abort, 'a cancelled order stays cancelled');
end;
