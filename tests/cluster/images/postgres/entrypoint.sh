#!/bin/sh
# Makes the database and its owner at the first start, from POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD, then serves it.
set -eu

bin=/usr/lib/postgresql/15/bin
data=/data/pgdata
sockets=/tmp

if [ ! -f "$data/ready" ]; then
  rm -rf "$data"
  "$bin/initdb" -D "$data" -U postgres -E UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 > /tmp/initdb.log \
    || { cat /tmp/initdb.log >&2; exit 1; }
  echo 'host all all all scram-sha-256' >> "$data/pg_hba.conf"
  echo 'host replication all all scram-sha-256' >> "$data/pg_hba.conf"
  "$bin/pg_ctl" -D "$data" -w -o "-c listen_addresses='' -c unix_socket_directories=$sockets" -l /tmp/first-start.log start > /dev/null
  "$bin/psql" -q -h "$sockets" -U postgres -v ON_ERROR_STOP=1 \
    -v db="$POSTGRES_DB" -v owner="$POSTGRES_USER" -v password="$POSTGRES_PASSWORD" <<'SQL'
CREATE ROLE :"owner" LOGIN REPLICATION PASSWORD :'password';
CREATE DATABASE :"db" OWNER :"owner";
SQL
  "$bin/pg_ctl" -D "$data" -w -m fast stop > /dev/null
  touch "$data/ready"
fi

exec "$bin/postgres" -D "$data" \
  -c listen_addresses='*' -c unix_socket_directories="$sockets" \
  -c wal_level=logical -c track_commit_timestamp=on -c max_wal_senders=10 -c max_replication_slots=10 \
  -c max_connections=100 -c shared_buffers=64MB -c jit=off
