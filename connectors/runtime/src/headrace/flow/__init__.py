"""What becomes of a record: which offset is done, which record is next, what a failure means. Pure."""
