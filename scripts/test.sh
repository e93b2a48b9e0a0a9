#!/bin/sh
# Everything that must hold, in one run: types, lint, dead code, the native library under sanitizers, the bundle,
# and every test. Any failure ends it.
set -eu
cd "$(dirname "$0")/.."
tsc --noEmit
biome check --error-on-warnings .
knip
make -s -C native check
npm run -s build
exec vitest run "$@"
