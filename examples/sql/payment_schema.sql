-- Autoincrement: the number of a lost payment is never given to another one.

create table if not exists payment (
  payment_id integer primary key autoincrement,
  status text not null check (status in ('PAID', 'REFUNDED')),
  order_id integer not null,
  amount_cents integer not null check (amount_cents > 0),
  payment_method text not null,
  saga_id text,
  action_key text unique
) strict;

create index if not exists payment_of_saga on payment (saga_id);

-- Money that was given back is not taken again under the same payment.
create trigger if not exists refunded_stays_refunded
before update of status on payment
when old.status = 'REFUNDED' and new.status <> 'REFUNDED'
begin
  select raise(abort, 'a refunded payment stays refunded');
end;

create table if not exists decline_switch (
  only_row integer primary key check (only_row = 1),
  declined integer not null
) strict;
