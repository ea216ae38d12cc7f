/** True when the program was called as the daemon: by a link to it, of this name. `name` may be a path. */
export function isDaemonName(name: string): boolean {
  return /(^|[/\\])fastsyncd(\.exe)?$/.test(name);
}

/** The same for the utilities. */
export function isUtilsName(name: string): boolean {
  return /(^|[/\\])fastsync-utils(\.exe)?$/.test(name);
}
