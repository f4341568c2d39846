#!/bin/sh
# Starts one Kafka Connect worker from a mounted properties file.
# The heap is a share of the container's memory limit; a worker that runs out of it exits, and the kubelet starts it anew.
set -eu

home="${HEADRACE_CONNECT_HOME:-/opt/headrace/connect}"
properties="${1:-/etc/headrace/connect/worker.properties}"

if [ ! -r "$properties" ]; then
  echo "cannot read the worker properties at $properties: mount them there or give their path as the first argument" >&2
  exit 64
fi

# Workers forward requests to one another, so each must be known by an address that the others reach.
running="${TMPDIR:-/tmp}/worker.properties"
cp "$properties" "$running"
# A certificate cannot hold addresses that are not known yet: with a domain, the address is a name in it.
if ! grep -q '^rest.advertised.host.name=' "$properties"; then
  address="${HEADRACE_POD_IP:-$(hostname -i)}"
  if [ -n "${HEADRACE_REST_DOMAIN:-}" ]; then
    address="$(printf %s "$address" | tr .: --).$HEADRACE_REST_DOMAIN"
  fi
  case "$address" in
    *:*) address="[$address]" ;;
  esac
  printf '\nrest.advertised.host.name=%s\n' "$address" >> "$running"
fi

# A JVM refuses to start with two collectors.
case "${JAVA_OPTS:-}" in
  *-XX:+Use*GC*) collector= ;;
  *) collector=-XX:+UseSerialGC ;;
esac

# Options are words without quotes, and none is a pattern of files.
set -f
exec java \
  -XX:+ExitOnOutOfMemoryError \
  -XX:MaxRAMPercentage="${HEADRACE_HEAP_PERCENT:-60}" \
  $collector \
  -XX:+PerfDisableSharedMem \
  -Djava.awt.headless=true \
  -Djava.io.tmpdir="${TMPDIR:-/tmp}" \
  -Dheadrace.connect.home="$home" \
  -Djava.security.auth.login.config="$home/rest.jaas" \
  -Dlog4j2.configurationFile="file:$home/log4j2.properties" \
  -javaagent:"$home/agent/jmx_prometheus_javaagent.jar=${HEADRACE_METRICS_PORT:-9404}:$home/jmx-exporter.yaml" \
  ${HEADRACE_TOKEN_ENDPOINT:+"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=$HEADRACE_TOKEN_ENDPOINT" -Dhttp.maxRedirects=1} \
  ${JAVA_OPTS:-} \
  -cp "$home/worker/*" \
  org.apache.kafka.connect.cli.ConnectDistributed "$running"
