"""The inbox: a table in the target's own database that says which messages have taken effect there."""
