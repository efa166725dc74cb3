#!/bin/sh
# Runs the same loops through the other clients for libSQL and through turso-opt,
# each on a fresh sqld, and prints one table: bench/peers/run.sh [-seconds 1.5].
# About a minute. A peer whose tools are missing is left out, and why is said.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
export GOWORK=off

if ! command -v go >/dev/null; then
	echo "bench/peers/run.sh: go is needed" >&2
	exit 1
fi
if [ -z "${TURSO_OPT_SQLD:-}" ]; then
	TURSO_OPT_SQLD=$("$here/../../tools/sqld.sh")
	export TURSO_OPT_SQLD
fi
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
trap 'exit 130' INT TERM

echo "building libsql-client-go and turso-opt" >&2
(cd "$here" && CGO_ENABLED=0 go build -o "$built/peers" .)

cc=$(go env CC | cut -d " " -f 1)
platform=$(go env GOOS)/$(go env GOARCH)
case $platform in
linux/amd64 | linux/arm64 | darwin/arm64)
	if ! command -v "$cc" >/dev/null; then
		echo "go-libsql is left out: it needs cgo, and there is no C compiler ($cc)" >&2
	else
		echo "building go-libsql" >&2
		if (cd "$here/golibsql" && CGO_ENABLED=1 go build -o "$built/golibsql" .); then
			set -- -golibsql "$built/golibsql" "$@"
		else
			echo "go-libsql is left out: it cannot be built here" >&2
		fi
	fi
	;;
*) echo "go-libsql is left out: it has no library for $platform" >&2 ;;
esac

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "@libsql/client is left out: it needs node and npm" >&2
else
	modules=$here/libsqljs/node_modules
	if ! cmp -s "$here/libsqljs/package-lock.json" "$modules/installed-lock.json"; then
		echo "installing @libsql/client" >&2
		# Its optional packages are native libraries for local files.
		npm ci --prefix "$here/libsqljs" --ignore-scripts --omit=optional --no-audit --no-fund >&2 &&
			cp "$here/libsqljs/package-lock.json" "$modules/installed-lock.json" || true
	fi
	if cmp -s "$here/libsqljs/package-lock.json" "$modules/installed-lock.json"; then
		set -- -libsqljs "$here/libsqljs/loop.mjs" "$@"
	else
		echo "@libsql/client is left out: it cannot be installed here" >&2
	fi
fi

"$built/peers" "$@"
