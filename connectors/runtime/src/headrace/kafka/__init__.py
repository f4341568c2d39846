"""Kafka's client, which nothing outside this room knows: reading, writing, and what its errors mean."""
