#!/bin/sh
# Has units follow the assignment (mooring-changed.service). It goes by what there is and not by what has happened, so
# that a bell that was rung twice, or is heard late, means the same.
set -eu
target=mooring-assigned.target
followed=$RUNTIME_DIRECTORY/followed
assigned=/run/mooring/agent/assigned
environment=/run/mooring/hub.env
# The agent may write there, and root need not read all that it may find. What is there and cannot be read is a failure,
# and no withdrawal.
announced() { if [ -e "$assigned" ]; then timeout 5 head -c 524288 "$assigned"; fi; }
now=$(announced)
before=; if [ -e "$followed" ]; then before=$(cat "$followed"); fi
newline='
'
first_line() { printf '%s\n' "${1%%"$newline"*}"; }
# systemd quotes a name with an escape in it, such as gateway@dev-ttyS\x2d0.service, for a shell to read again.
units() { systemctl show --property="$1" --value "$target" | sed 's/"//g; s/\\\\/\\/g'; }
# systemd reads it for the units that it starts, and waits for what it reads, be that a pipe. So it is root's, and holds
# nothing but what Mooring says of a hub, whatever was announced: each variable on a line of its own.
variable='IOTHUB_(HOSTNAME|DEVICE_ID|KEY_HANDLE|KEY_NAME)|DPS_(REGISTRATION_ID|ID_SCOPE|ENDPOINT|ATTESTATION|PAYLOAD)'
keep_environment() {
  variables=$(printf '%s\n' "$now" | sed -nE '1,/^$/d; /^('"$variable"')="([^"\\]|\\.)*"$/p')
  if [ -e "$environment" ] && [ "$(cat "$environment")" = "$variables" ]; then return; fi
  printf '%s\n' "$variables" >"$environment.new"
  mv "$environment.new" "$environment"
}

is_masked() { [ "$(systemctl show --property=LoadState --value "$target")" = masked ]; }

# What an operator has masked is no failure of this.
if [ -n "$now" ]; then
  parts=$(units ConsistsOf)
  # It may have failed over the assignment of before, or over a file that was not there. What fails with this one is not
  # tried again for a bell that was rung twice.
  failed=
  if [ "$now" != "$before" ] && ! is_masked; then
    failed=$(for unit in $parts $(units Wants); do ! systemctl --quiet is-failed "$unit" || printf '%s\n' "$unit"; done)
  fi
  keep_environment
  # Where there is no room for this, nobody is started anew each time that it is tried again.
  printf '%s\n' "$now" >"$followed.new"
  if ! systemctl --quiet is-active "$target"; then systemctl --no-block start "$target" || true; fi
  if [ -n "$parts" ] && [ -n "$before" ] && [ "$(first_line "$now")" != "$(first_line "$before")" ]; then
    # One by one: starting the target anew would start what an operator has stopped, too.
    systemctl --no-block try-restart $parts || true
  fi
  if [ -n "$failed" ]; then
    systemctl reset-failed $failed || true
    systemctl --no-block start $failed || true
  fi
  mv "$followed.new" "$followed"
elif [ -n "$before" ] || [ -e "$environment" ]; then
  # Withdrawn. Whoever is started from now on waits for the next one, or fails for want of its file.
  rm -f "$environment"
  # What is part of the target stops with it, and does not fail for want of its files. That is waited for: what still
  # stops when there is another assignment would go on with this one.
  systemctl stop "$target" $(units ConsistsOf) || true
  rm -f "$followed"
fi
# An agent that is killed when it has rung, and not yet again after it announced, rings no more.
[ "$(announced)" = "$now" ] || exec "$0"
