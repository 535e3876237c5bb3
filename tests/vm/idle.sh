#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# /init of a guest that waits to be dumped from outside: some of each kind of memory, then the word
# "ready" on the second serial port. /config sets MARKER (text for the kernel log) and MODULES.
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /fill
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs fill /fill
exec </dev/console >/dev/console 2>&1
# shellcheck disable=SC1091 # made by vm.py
. /config
for module in $MODULES; do
	insmod "/modules/$module"
done
cat /bin/busybox /bin/busybox >/fill/file
dd if=/dev/urandom of=/fill/random bs=1M count=4 2>/dev/null
# Free memory that is not zero.
dd if=/dev/urandom of=/fill/gone bs=1M count=4 2>/dev/null
rm /fill/gone
# tail holds what it was given in anonymous memory until its input ends, which is never.
(cat /bin/busybox; sleep 100000) | tail -c 8000000 >/dev/null &
sleep 100000 &
echo "<5>$MARKER" >/dev/kmsg
sleep 1
echo ready >/dev/ttyS1
sleep 100000
