#!/bin/sh
# Everything that must hold, in one run: types, lint, dead code, the native library under sanitizers, the bundle, and
# every test. A complaint of the first three does not keep the tests from running, but fails the run all the same.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'test: %s\n' "$*" >&2; }

complaints=''
say "types, lint, dead code"
tsc --noEmit || complaints="$complaints tsc"
tsc --noEmit -p src/service/portal/page || complaints="$complaints tsc(page)"
biome check --error-on-warnings . || complaints="$complaints biome"
knip || complaints="$complaints knip"

say "the native library under sanitizers, against a software TPM"
make -s -C native check
say "the bundle"
npm run -s build
say "every test"
vitest run --project fast --project e2e "$@"

[ -z "$complaints" ] || {
  say "the tests passed, but not:$complaints"
  exit 1
}
