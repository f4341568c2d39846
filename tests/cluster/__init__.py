"""A real Kubernetes on one machine, for people and for tests: built from source, run in namespaces of its own.

Run ``python -m tests.cluster --help`` from the repository root. Other rooms import `fast` (etcd and API server alone),
`node` (run something inside the node) and `places` (where things are). Nothing here may know Headrace itself.
"""
