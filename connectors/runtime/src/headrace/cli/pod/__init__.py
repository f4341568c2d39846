"""What the pod of an errand does of the command line: it speaks with Kafka, in answers of one line each."""
