#!/bin/sh
# An agent that cannot start, be it over a configuration with a mistake in it, costs nobody the assignment: what was
# announced last is announced again, where it is still there to be read. As mooring.service's ExecStopPost=,
# and once all is started (mooring-changed.service).
set -eu
announced=/var/lib/mooring/announced
assigned=/run/mooring/agent/assigned
[ "$SERVICE_RESULT" != success ] && [ ! -e "$assigned" ] && [ -f "$announced" ] || exit 0
while read -r how path && [ -n "$how" ]; do
  [ "$how" != in ] || [ -e "$path" ] || exit 0
done <"$announced"
: >/run/mooring/agent/changed # twice, so that there is a bell if this is killed in between
install -m 0640 "$announced" "$assigned.new"
mv "$assigned.new" "$assigned"
: >/run/mooring/agent/changed
