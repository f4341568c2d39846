"""PostgreSQL: what is seen of it by plain SQL, and what is kept."""
