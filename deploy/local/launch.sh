#!/bin/sh
# Write a record of this process, then become the program: launch.sh RECORD STARTER STOP_SIGNAL FOLDER PROGRAM ARGUMENT...
# The record exists before the program runs, so no crash of the starter can leave a program without a record.
# The check after it notices a starter that ended before the record existed.
set -eu
record=$1 starter=$2 stop_signal=$3 folder=$4
shift 4
umask 077

read_own_stat() { read -r stat < "/proc/$$/stat"; }
keep_parent_and_start() { parent=$4; shift 21; started=$1; } # fields 4 and 22 of proc(5)'s stat

read_own_stat
keep_parent_and_start $stat
printf '{"pid": %s, "started": %s, "starter": %s, "stop_signal": "%s"}\n' "$$" "$started" "$starter" "$stop_signal" > "$record.$$"
mv "$record.$$" "$record"

read_own_stat
keep_parent_and_start $stat
if [ "$parent" != "$starter" ]; then
    echo "$1 is not started: its starter has ended" >&2
    exit 1
fi
cd "$folder"
exec "$@"
