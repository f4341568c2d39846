#!/bin/sh
# Formats the storage at the first start, with one SCRAM user, then runs the broker.
set -eu

properties=/etc/kafka/server.properties

java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+PerfDisableSharedMem -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format \
  --ignore-formatted -t "$KAFKA_CLUSTER_ID" -c "$properties" \
  --add-scram "SCRAM-SHA-512=[name=$KAFKA_USERNAME,password=$KAFKA_PASSWORD]" > /tmp/format.log 2>&1 || { cat /tmp/format.log >&2; exit 1; }

exec java -XX:+ExitOnOutOfMemoryError -Xms256m -Xmx"${KAFKA_HEAP:-512m}" -XX:+UseSerialGC -XX:+PerfDisableSharedMem \
  -Dlog4j2.configurationFile=file:/opt/kafka/log4j2.properties -cp '/opt/kafka/libs/*' kafka.Kafka "$properties"
