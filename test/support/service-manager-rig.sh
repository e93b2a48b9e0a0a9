#!/bin/sh
# Becomes systemd, as process 1 of a machine that shares this one's kernel, /usr and network, and nothing else. Runs in
# new mount, process, cgroup, host name and IPC namespaces, and in a user namespace where it is not root. $1 is an empty
# directory, $2 the repository, $3 the directory of its Node.js. $4 is `built` for a machine with the program as it was
# built, `bare` for one without that dpkg may write to, and `probe` for none: what this machine lacks shows by then.
set -eu
root=$1 repository=$2 runtime=$3 kind=$4
units=$root/usr/lib/systemd/system

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p dev etc/systemd layer old proc root run sys tmp usr
mkdir -p var/cache var/lib var/tmp
chmod 1777 tmp var/tmp
for name in bin lib lib64 sbin; do ln -s "usr/$name" "$name"; done
ln -s /run var/run

# This system's programs with ours among them, and of its units only the marks of the way up and the journal.
if [ "$kind" = bare ]; then
  mkdir upper work
  mount -t overlay -o "lowerdir=/usr,upperdir=$root/upper,workdir=$root/work" overlay usr ||
    mount -t overlay -o "userxattr,lowerdir=/usr,upperdir=$root/upper,workdir=$root/work" overlay usr
  rm -f usr/sbin/policy-rc.d # with which containers keep dpkg from starting anything
else
  mkdir -p layer/bin layer/lib/mooring layer/lib/mooring-runtime layer/lib/native/build
  printf '#!/bin/sh\nexec /usr/lib/mooring-runtime/node /usr/lib/mooring/main.js "$@"\n' >layer/bin/mooring
  chmod 755 layer/bin/mooring
  mount -t overlay -o "lowerdir=$root/layer:/usr" overlay usr
  mount --bind "$repository/dist" usr/lib/mooring
  mount --bind "$repository/native/build" usr/lib/native/build
  mount --bind "$runtime" usr/lib/mooring-runtime
fi
mount -t tmpfs -o mode=755 tmpfs "$units"
for name in basic final local-fs multi-user network paths shutdown slices sockets sysinit time-set timers umount; do
  cp "/usr/lib/systemd/system/$name.target" "$units"
done
cp /usr/lib/systemd/system/systemd-journald.service /usr/lib/systemd/system/systemd-journald.socket "$units"
mkdir "$units/sysinit.target.wants"
ln -s ../systemd-journald.service "$units/sysinit.target.wants"
ln -s multi-user.target "$units/default.target"

mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
# Only who owns the network may mount this anew.
mount -t sysfs -o ro sysfs sys 2>/dev/null || mount --rbind /sys sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/mqueue dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for name in full null random tty urandom zero; do
  : >"dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done

printf '%s\n' root:x:0:0::/root:/bin/sh nobody:x:65534:65534::/:/usr/sbin/nologin >etc/passwd
printf '%s\n' root:x:0: nogroup:x:65534: >etc/group
printf '%s localhost\n' 127.0.0.1 ::1 >etc/hosts
echo 0123456789abcdef0123456789abcdef >etc/machine-id

/usr/sbin/pivot_root . old
umount -l /old
[ "$kind" != probe ] || exit 0
exec env -i container=rig PATH=/usr/sbin:/usr/bin SYSTEMD_GENERATOR_PATH=/nowhere \
  /usr/lib/systemd/systemd --system --log-target=journal --show-status=no --crash-reboot=no
