#!/bin/sh
# Writes down which process this is, then becomes the program: launch.sh RECORD STARTER STOP_SIGNAL FOLDER PROGRAM ARGUMENT...
# The record is there before the program runs, so no crash of the starter can leave a program that nobody knows of:
# a starter that died before the record was there is noticed by the check after it.
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
