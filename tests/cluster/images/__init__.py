"""The images of Headrace and of the local cluster, built without an engine: `python -m tests.cluster.images`."""
