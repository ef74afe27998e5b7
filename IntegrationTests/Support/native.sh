# Runs a command on the host's own kernel in surroundings like those of the tests' containers. Started in new namespaces.
#
# usage: native.sh ROOT MOUNT-POINT HOSTNAME UID GID DIRECTORY COUNT VARIABLE... COMMAND...
# BINDS has SOURCE:DESTINATION lines, READONLY 0 or 1, CAPABILITIES the bounding set as setpriv takes it.
set -eu
root=$1 at=$2 name=$3 uid=$4 gid=$5 directory=$6 count=$7
shift 7
mount --make-rprivate /
mount --bind "$root" "$at"
mount -t proc proc "$at/proc"
mount -t sysfs -o ro sysfs "$at/sys"
mount -t tmpfs -o mode=755 tmpfs "$at/dev"
mkdir "$at/dev/pts" "$at/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$at/dev/pts"
mount -t tmpfs -o mode=1777 shm "$at/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$at/tmp"
for node in null zero full random urandom tty; do
    : >"$at/dev/$node"
    mount --bind "/dev/$node" "$at/dev/$node"
done
ln -s pts/ptmx "$at/dev/ptmx"
ln -s /proc/self/fd "$at/dev/fd"
for pair in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${pair%:*}" "$at/dev/${pair#*:}"; done
printf '%s\n' "$BINDS" | while IFS=: read -r from to; do
    [ -n "$from" ] || continue
    mount --bind "$from" "$at$to"
done
[ "$READONLY" = 0 ] || mount -o remount,bind,ro "$at"
hostname "$name"
ip link set lo up 2>/dev/null || :
variables=
while [ "$count" -gt 0 ]; do
    variables="$variables '$(printf %s "$1" | sed "s/'/'\\\\''/g")'"
    shift
    count=$((count - 1))
done
capabilities=$CAPABILITIES
unset BINDS READONLY CAPABILITIES
eval "exec env -i $variables "'chroot "$at" /usr/bin/setpriv --reuid "$uid" --regid "$gid" --clear-groups --bounding-set "-all,$capabilities" --inh-caps=-all /usr/bin/env -C "$directory" "$@"'
