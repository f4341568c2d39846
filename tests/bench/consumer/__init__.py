"""The consumer beside its peers: `make bench-consumer`."""
