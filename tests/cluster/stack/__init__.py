"""Kafka, PostgreSQL and Prometheus, which a pipeline needs around it: `python -m tests.cluster.stack up`."""
