-- Undone is undone: the second time changes nothing.
insert into undone_action (action_key) values (:action_key) on conflict do nothing
