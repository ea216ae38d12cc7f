/** What FASTSYNC_NATIVE may say: whether the native library serves where it can. */
const OFF: readonly string[] = ["off", "0", "no", "false"];
const ON: readonly string[] = ["on", "1", "yes", "true"];

/** An empty variable is one that is not set. */
export function isNativeOff(value: string | undefined): boolean {
  return value !== undefined && OFF.includes(value.toLowerCase());
}

/** What is neither leaves the library on. */
export function isNativeSwitch(value: string): boolean {
  return [...OFF, ...ON].includes(value.toLowerCase());
}
