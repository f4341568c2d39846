"""One package for each kind of database."""
