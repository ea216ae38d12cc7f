let quiet = false;

export function setQuiet(value: boolean): void {
  quiet = value;
}

/** A step that went well; `--quiet` hides it. */
export function note(text: string): void {
  if (!quiet) console.error(`build: ${text}`);
}

/** What the person should know even with `--quiet`. */
export function warn(text: string): void {
  console.error(`build: ${text}`);
}
