# Sourced, in a mount namespace of its own: `overlay_root WORK` makes this machine's file system once more under an overlay
# in memory and leaves its path in `root`. Whatever is written there is gone with the namespace; WORK is an empty directory.
overlay_root() {
  local work=$1 place
  mount -t tmpfs -o mode=0755 tmpfs "$work"
  mkdir "$work"/{upper,inner,root}
  root=$work/root
  mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/inner" overlay "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  mkdir -p "$root/backup"
  for place in tmp run root home srv mnt opt backup; do
    mount -t tmpfs -o mode=0755 tmpfs "$root/$place"
  done
  chmod 1777 "$root/tmp"
}

# Runs a command in there, as root, with nothing of the environment.
inside() {
  env -i HOME=/root USER=root LOGNAME=root LANG=C.UTF-8 TERM=dumb NO_COLOR=1 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
}
