/** What was typed before a question was there to be answered is no answer to it. */
import { openSystemLibc } from "../../ffi/system-libc.ts";

const TCIFLUSH = 0;

/** Discards what a terminal has for its reader, also what is on a line that has no end yet. No terminal: nothing happens. */
export function discardTypedAhead(fd: number): void {
  openSystemLibc({ tcflush: { args: ["i32", "i32"], returns: "i32" } })?.tcflush(fd, TCIFLUSH);
}
