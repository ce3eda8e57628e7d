#!/bin/sh
# The whole life of a service on this machine, as a user would type it: check,
# deploy, call, preview a change, apply it, remove. It works on a copy of the
# example "meetings", with state of its own, and leaves nothing behind, also
# when it is interrupted. It wants the program `anyfaas` in the PATH, and Go.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
world=$(mktemp -d "${TMPDIR:-/tmp}/anyfaas-demo.XXXXXX")
export ANYFAAS_HOME="$world/home"

clean_up() {
	status=$?
	trap - EXIT INT TERM
	cd /
	anyfaas -C "$world/meetings" remove --yes >/dev/null 2>&1 || true
	anyfaas local stop >/dev/null 2>&1 || true
	rm -rf "$world"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n%s\n' "$*"; }
expect() { # CODE COMMAND…: shows a command and what it prints, and wants its exit code
	wanted=$1
	shift
	printf '  $'
	for word; do
		case $word in
		*[!A-Za-z0-9_./:=-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	echo
	if "$@" >"$world/out" 2>&1; then code=0; else code=$?; fi
	sed 's/^/    /' "$world/out"
	[ "$code" = "$wanted" ] || { echo "demo: exit code $code where $wanted was expected" >&2; exit 1; }
}

cp -R "$here/meetings" "$world/meetings"
cd "$world/meetings"

say "1. A service: one manifest and one Go function"
expect 0 cat serverless.yaml
expect 0 anyfaas validate

say "2. Deployed to this machine, through the same engine as to a cloud"
expect 0 anyfaas deploy --yes

url=$(anyfaas info | sed -n 's|^ *url  *||p')
[ -n "$url" ] || { echo "demo: info tells no URL" >&2; exit 1; }

say "3. Called over HTTP"
question='{"date": "2026-01-15", "zones": ["America/New_York", "Europe/Paris"], "from": 9, "to": 17}'
if command -v curl >/dev/null 2>&1; then
	expect 0 curl -sSf "$url/zones/Europe/Paris?at=2026-03-29T01:00:00Z"
	expect 0 curl -sSf -d "$question" "$url/meetings"
else
	expect 0 anyfaas invoke planner --trigger http --data '{"method": "GET", "path": "/zones/Europe/Paris?at=2026-03-29T01:00:00Z"}'
	expect 0 anyfaas invoke planner --trigger http --data "{\"method\": \"POST\", \"path\": \"/meetings\", \"body\": \"$(printf %s "$question" | sed 's/"/\\"/g')\"}"
fi

say "4. More memory: what would change?"
sed 's/memory: 256MB/memory: 512MB/' serverless.yaml >new.yaml && mv new.yaml serverless.yaml
expect 3 anyfaas preview --exit-code

say "5. Applied; after that there is nothing left to change"
expect 0 anyfaas deploy --yes
expect 0 anyfaas preview --exit-code

say "6. Removed, with everything that ran"
expect 0 anyfaas remove --yes
# The process that ran the functions ends by itself a moment after its last stack.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	anyfaas local status | grep -q 'does not run' && break
	sleep 1
done
expect 0 anyfaas local status

say "That was all of it. The example lies in examples/meetings; \`anyfaas init\` starts your own."
