-- Counts by status and type without reading the rows, and the few sagas of a rare status. A status changes together
-- with `rests`, which is indexed already: no update that was cheap becomes dear.
create index saga_of_status on saga_status (status, saga_type);
