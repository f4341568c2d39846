"""The images of Headrace and of the local cluster, built without a container engine: `python -m tests.cluster.images`."""
