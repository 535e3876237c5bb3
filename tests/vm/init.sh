#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# /init of both boots of the virtual machine test. The first kernel fills memory, loads the capture
# kernel and crashes; the capture kernel (it has a /proc/vmcore) saves the dump in all ways.
# /config sets MARKER (text for the kernel log), FILTER (the command under test, empty: only the
# raw dump), DISK and MODULES. What the host needs goes to the second serial port, where no kernel
# message can break a line:
#	VMTEST name status	the exit status of a step
#	VMINFO name value	a measurement
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp /disk
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1 3>/dev/ttyS1
# shellcheck disable=SC1091 # made by vm.py
. /config
for module in $MODULES; do
	insmod "/modules/$module"
done

# step NAME COMMAND...: run it, report its status.
step()
{
	local name=$1 status
	shift
	"$@"
	status=$?
	echo "VMTEST $name $status" >&3
	return $status
}

info()
{
	echo "VMINFO $1 $2" >&3
}

# The end of either boot. Closing the port waits until all is sent.
finish()
{
	echo "VMTEST end 0" >&3
	exec 3>&-
	poweroff -f
}

wait_for_disk()
{
	local tries=0
	until [ -b "$DISK" ]; do
		tries=$((tries + 1))
		[ $tries -lt 30 ] || return 1
		sleep 1
	done
}

# Content that a dump level drops or keeps: tmpfs, page cache, anonymous memory, sleeping tasks.
fill_memory()
{
	mkdir /fill
	mount -t tmpfs fill /fill
	for i in 1 2 3; do
		cat /vmlinuz /initrd >"/fill/$i"
	done
	dd if="$DISK" of=/dev/null bs=1M count=16 2>/dev/null
	# tail holds what it was given in anonymous memory until its input ends, which is never.
	(cat /vmlinuz; sleep 100000) | tail -c 12000000 >/dev/null &
	for i in 1 2 3 4 5 6 7 8; do
		sleep 100000 &
	done
}

crash_boot()
{
	step disk wait_for_disk
	fill_memory
	step kexec-load kexec -p /vmlinuz --initrd=/initrd --append="console=ttyS0 loglevel=4 \
nr_cpus=1 reset_devices irqpoll panic=1" || finish
	echo 1 >/proc/sys/kernel/sysrq
	echo "<5>$MARKER" >/dev/kmsg
	echo c >/proc/sysrq-trigger
}

# measured NAME COMMAND...: run the command under test, report its status and its peak memory.
measured()
{
	local name=$1 status
	shift
	time -o "/tmp/$name" -f "%M %e" "$@"
	status=$?
	tail -n 1 "/tmp/$name" | while read -r peak seconds; do
		info "$name-peak" "$peak"
		info "$name-seconds" "$seconds"
	done
	return $status
}

# shellcheck disable=SC2086
piped()
{
	set -o pipefail
	measured flat $FILTER -F -c -d 31 /proc/vmcore | dd of=/disk/vmcore.flat bs=64k 2>/dev/null
}

# The memory of the kernel that runs, which changes meanwhile.
# shellcheck disable=SC2086
kcore()
{
	[ -e /proc/kcore ] || return 77
	$FILTER --dump-dmesg /proc/kcore /disk/kcore.txt && measured kcore $FILTER -l -d 31 /proc/kcore /disk/kcore.kdump
}

# shellcheck disable=SC2086 # FILTER is a command and its first arguments
capture_boot()
{
	step disk wait_for_disk
	step mount mount -o noatime "$DISK" /disk
	grep -E '^(MemTotal|MemFree|MemAvailable):' /proc/meminfo | while read -r key value _; do
		info "${key%:}" "$value"
	done
	if [ -n "$FILTER" ]; then
		step dmesg measured dmesg $FILTER --dump-dmesg /proc/vmcore /disk/dmesg.txt
		step kdump measured kdump $FILTER -l -d 31 /proc/vmcore /disk/vmcore.kdump
		step flat piped
		step kcore kcore
	fi
	step raw dd if=/proc/vmcore of=/disk/vmcore.raw bs=1M 2>/dev/null
	for file in /disk/*; do
		[ -f "$file" ] && info "size-${file##*/}" "$(stat -c %s "$file")"
	done
	info oom "$(dmesg | grep -ciE 'out of memory|oom-kill')"
	step unmount umount /disk
	sync
	finish
}

if [ -e /proc/vmcore ]; then
	capture_boot
else
	crash_boot
fi
