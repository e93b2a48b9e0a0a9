#!/bin/sh
set -eu
mkdir -p /run/factory
mount -o ro /dev/vdb /run/factory
cp -r --preserve=mode /run/factory/. /
systemctl daemon-reload
rmdir /lost+found 2>/dev/null || true
umount /run/factory
