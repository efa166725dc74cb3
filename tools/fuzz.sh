#!/bin/sh
# Runs every fuzz target of every module for FUZZTIME (a duration as go test
# takes it, default 30s), one after the other. The targets are found, not
# listed.
set -eu

cd "$(dirname "$0")/.."
time=${FUZZTIME:-30s}
found=0
for dir in $(find . \( -name node_modules -o -name '.?*' \) -prune -o -name '*_test.go' -exec grep -lE '^func Fuzz[A-Z]' {} + |
	sed 's|/[^/]*$||' | sort -u); do
	listed=$(cd "$dir" && go test -list '^Fuzz' .)
	for target in $(echo "$listed" | grep '^Fuzz'); do
		found=$((found + 1))
		echo "fuzz $dir $target for $time"
		(cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" .)
	done
done
if [ "$found" -eq 0 ]; then
	echo "tools/fuzz.sh: no fuzz target was found" >&2
	exit 1
fi
