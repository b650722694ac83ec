#!/bin/sh
# The C++ compiler of the build: the machine's own, or none. The Kafka client is C; its build compiles a C++ interface
# too, which nothing here links. Without a C++ compiler those objects are left empty, so that a C compiler is enough.
for compiler in c++ g++ clang++; do
    command -v "$compiler" >/dev/null && exec "$compiler" "$@"
done
compiles=
for argument in "$@"; do
    [ "$previous" = -o ] && output=$argument
    [ "$argument" = -c ] && compiles=yes
    previous=$argument
done
if [ "$compiles" ]; then
    exec cc -x c -fPIC -c /dev/null -o "$output"
fi
exec cc "$@"
