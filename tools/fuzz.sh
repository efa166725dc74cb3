#!/bin/sh
# Runs every fuzz target of every module for FUZZTIME (a duration as go test
# takes it, default 30s), FUZZJOBS (default 2) of them at once with one worker each.
# The targets are found, not listed.
set -eu

cd "$(dirname "$0")/.."
FUZZTIME=${FUZZTIME:-30s}
export FUZZTIME

# One target: its output is shown when it has ended, so that those of several do
# not mix.
if [ "${1:-}" = one ]; then
	out=$(mktemp)
	status=0
	(cd "$2" && go test -run '^$' -fuzz "^$3\$" -fuzztime "$FUZZTIME" -parallel 1 .) >"$out" 2>&1 || status=$?
	echo "fuzz $2 $3 for $FUZZTIME"
	cat "$out"
	rm -f "$out"
	exit "$status"
fi

list=$(find . \( -name node_modules -o -name '.?*' \) -prune -o -name '*_test.go' -exec grep -HoE '^func Fuzz[A-Z][A-Za-z0-9_]*' {} + |
	sed 's|/[^/]*:func | |' | sort -u)
if [ -z "$list" ]; then
	echo "tools/fuzz.sh: no fuzz target was found" >&2
	exit 1
fi
# xargs ends with an error if any of them does.
echo "$list" | xargs -n 2 -P "${FUZZJOBS:-2}" sh tools/fuzz.sh one
