#!/usr/bin/env bash
# Starts one Kafka broker (KRaft, one node) on 127.0.0.1 from the jars of `make kafka`, until Ctrl-C. To try things out:
# its data is in a temporary folder and goes with it.
#
# Usage: tools/kafka/start.sh [PORT]     (9092 unless told)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${1:-9092}
[[ $port =~ ^[0-9]+$ ]] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
"$here/fetch.sh"
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
jars=${VPP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vpp}/kafka-$version

folder=$(mktemp -d -t vpp-kafka-XXXXXX)
trap 'rm -rf "$folder"' EXIT
broker=127.0.0.1:$port
controller=127.0.0.1:$((port + 1))
sed "s|@BROKER@|$broker|g; s|@CONTROLLER@|$controller|g; s|@DATA@|$folder/data|" "$here/server.properties" \
    >"$folder/server.properties"
java=(java -cp "$jars/*" -XX:+UseSerialGC -Dlog4j2.level=WARN)
"${java[@]}" kafka.tools.StorageTool format --standalone -t dnBwLXRlc3QtYnJva2VyMQ -c "$folder/server.properties" >/dev/null
echo "Kafka $version on $broker; Ctrl-C stops it and removes its data"
"${java[@]}" -Xmx512m kafka.Kafka "$folder/server.properties"
