-- Instants are read as UTC. Isolation is the default of the system: a statement that fails because of others is sent again.
set time zone 'UTC'
