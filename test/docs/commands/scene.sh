#!/usr/bin/env bash
# scene.sh WORK PROGRAM STEPS: a machine on which the commands of one document run, and then these.
#
# Started in namespaces of its own (mounts, network, processes, host name); everything goes with them. The root is this
# machine's under an overlay in memory, so that a command may write anywhere. In it:
#
#   /usr/bin/fastsync, fastsyncd, fastsync-utils   the program under test
#   nas (192.168.1.10), backup (192.168.1.20)      hosts, each with a daemon, unless the document starts its own
#   /srv/data, /srv/media/photos, ~/photos, ~/documents, ~/done, ~/big.iso          trees with files in them
#   /backup, /mnt/usb, /mnt/old, ~/archive, /srv/vault                              empty
#
# STEPS has a step a line, for each block of the document in order: `write NUMBER PATH`, `run NUMBER` or
# `background NUMBER`; the blocks are WORK/NUMBER. Of each run WORK/NUMBER.out (what it printed, both streams) and
# WORK/NUMBER.code are left; WORK/ready when the scene stood.
set -euo pipefail

work=$1 program=$2 steps=$3
source "$(dirname "$0")/../../support/overlay-root.sh"
overlay_root "$work/fs"
mkdir -p "$root/opt/document"
mount --bind "$work" "$root/opt/document"

# The program; what it consists of may lie in a place that is covered now.
mkdir -p "$root/opt/program" "$root/etc/fastsync"
rm -rf "$root"/etc/fastsync/* "$root"/usr/bin/fastsync{,d,-utils}
if [ -f "$program" ]; then
  touch "$root/opt/program/fastsync"
  mount --bind "$program" "$root/opt/program/fastsync"
  for name in fastsync fastsyncd fastsync-utils; do ln -s /opt/program/fastsync "$root/usr/bin/$name"; done
else
  echo "no program at $program" >&2
  exit 1
fi

hostname laptop
ip link set lo up
ip address add 192.168.1.10/24 dev lo
ip address add 192.168.1.20/24 dev lo
cat > "$root/etc/hosts" <<HOSTS
127.0.0.1 localhost laptop
192.168.1.10 nas nas.lan
192.168.1.20 backup backup.lan
HOSTS
echo 'hosts: files' > "$root/etc/nsswitch.conf"

# Trees.
fill() {
  mkdir -p "$1/2023/summer" "$1/2024"
  local number
  for number in 1 2 3; do
    echo "picture $number" > "$1/2023/summer/$number.jpg"
    echo "page $number" > "$1/2024/$number.txt"
  done
  echo "read me" > "$1/README.txt"
  find "$1" -exec touch -d '2025-01-02 03:04:05' {} +
}
fill "$root/srv/data"
fill "$root/srv/media/photos"
fill "$root/root/photos"
fill "$root/root/documents"
fill "$root/root/done"
head -c 3000000 /dev/zero > "$root/root/big.iso"
mkdir -p "$root"/{mnt/usb,mnt/old,root/archive,srv/vault,srv/backup}

# Waits for a daemon to say that it has started.
started() {
  local waited
  for waited in $(seq 200); do
    ! grep -q ' started ' "$1" 2>/dev/null || return 0
    sleep 0.05
  done
  echo "no daemon after 10 seconds ($waited looks):" >&2
  cat "$1" >&2
  return 1
}

serve() {
  local name=$1 address=$2
  mkdir -p "$root/opt/$name"
  cat > "$root/opt/$name/config.toml"
  inside fastsync daemon --config "/opt/$name/config.toml" --bind "$address" > "$work/$name.log" 2>&1 &
}

# A document that brings a daemon of its own has the address of the NAS for it.
if ! grep -q '^background' "$steps"; then
  serve nas 192.168.1.10 <<CONFIG
[[module]]
name = "media"
path = "/srv/media"
comment = "films and photos"
read_only = false

[[module]]
name = "data"
path = "/srv/data"

[[module]]
name = "vault"
path = "/srv/vault"
read_only = false

[delegation]
enabled = true
allow = ["backup", "192.168.1.0/24"]
CONFIG
fi
serve backup 192.168.1.20 <<CONFIG
[[module]]
name = "vault"
path = "/srv/backup"
read_only = false
CONFIG
[ ! -e "$work/nas.log" ] || started "$work/nas.log"
started "$work/backup.log"
touch "$work/ready"

while read -r step number path; do
  case $step in
    write)
      mkdir -p "$root$(dirname "$path")"
      cp "$work/$number" "$root$path"
      ;;
    background)
      inside bash -eu -c "cd; exec bash -eu /opt/document/$number" > "$work/$number.out" 2>&1 < /dev/null &
      started "$work/$number.out" || { echo 1 > "$work/$number.code"; continue; }
      echo 0 > "$work/$number.code"
      ;;
    run)
      code=0
      inside timeout -k 1 30 bash -c "cd; exec bash -euo pipefail /opt/document/$number" \
        > "$work/$number.out" 2>&1 < /dev/null || code=$?
      echo "$code" > "$work/$number.code"
      ;;
  esac
done < "$steps"
