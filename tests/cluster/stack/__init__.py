"""What a pipeline needs around it on the local cluster: Kafka, PostgreSQL, Prometheus. `python -m tests.cluster.stack up`."""
