#!/usr/bin/env bash
# Fetches the jars of an Apache Kafka broker, once, into the user's cache. The tests start their brokers from there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
cache=${VPP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vpp}
jars=$cache/kafka-$version

"$here/../need.sh" java=default-jre-headless

java=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
if [ "${java:-0}" -lt 17 ]; then
    echo "Kafka $version needs Java 17 or newer; the java on the PATH is version ${java:-unknown}." >&2
    exit 1
fi
if [ -d "$jars" ]; then
    echo "Kafka $version is in $jars"
    exit 0
fi

"$here/../need.sh" mvn=maven

# A folder of the final name is always whole: it is filled under another name first.
mkdir -p "$cache"
partial=$(mktemp -d "$cache/kafka-$version.XXXXXX")
trap 'rm -rf "$partial"' EXIT
echo "Fetching Kafka $version (about 45 MB) ..."
mvn --batch-mode --quiet --strict-checksums --file "$here/pom.xml" \
    dependency:copy-dependencies -DoutputDirectory="$partial/jars"
mv --no-target-directory "$partial/jars" "$jars" || [ -d "$jars" ] # another run may have been faster
echo "Kafka $version is in $jars"
