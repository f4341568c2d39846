"""What a person's own machine does of the command line: it asks the cluster, and a pod in it."""
