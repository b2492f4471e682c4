-- Instants are read as UTC. Isolation is what the system has: a statement that it refuses for others is sent again.
set time zone 'UTC'
