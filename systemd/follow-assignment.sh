#!/bin/sh
# Has units follow the assignment (mooring-changed.service). It goes by what there is and not by what has happened, so
# that a bell that was rung twice, or is heard late, means the same.
set -eu
target=mooring-assigned.target
followed=$RUNTIME_DIRECTORY/followed
# What is there and cannot be read is a failure, and no withdrawal.
now=; if [ -e /run/mooring/assigned ]; then now=$(cat /run/mooring/assigned); fi
before=; if [ -e "$followed" ]; then before=$(cat "$followed"); fi

if [ -z "$now" ]; then
  # What is part of the target stops with it, and does not fail for want of its files.
  systemctl --no-block stop "$target"
else
  # It may have failed over the assignment of before, or over a file that was not there.
  parts=$(systemctl show --property=ConsistsOf --value "$target")
  wanted=$(systemctl show --property=Wants --value "$target")
  failed=
  if [ -n "$parts$wanted" ] && systemctl --quiet is-active "$target"; then
    failed=$(systemctl list-units --state=failed --plain --no-legend --full $parts $wanted | cut -d ' ' -f 1)
  fi
  if [ -z "$before" ]; then
    systemctl --no-block start "$target"
  elif [ -n "$parts" ] && [ "$(printf %s "$now" | head -n 1)" != "$(printf %s "$before" | head -n 1)" ]; then
    # One by one: starting the target anew would start what an operator has stopped, too.
    systemctl --no-block try-restart $parts
  fi
  if [ -n "$failed" ]; then
    systemctl reset-failed $failed
    systemctl --no-block start $failed
  fi
fi
if [ -n "$now" ]; then printf '%s\n' "$now" >"$followed"; else rm -f "$followed"; fi
