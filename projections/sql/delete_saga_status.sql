-- Used by a rebuild, whose transaction fills the table again: readers see the old rows until it commits.
delete from saga_status
