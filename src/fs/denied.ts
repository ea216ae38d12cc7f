/** What the system refuses, in words that say who was refused, and what helps. */
import { deniedText, errnoText, isDenied } from "../core/errno.ts";
import { printable } from "../core/paths.ts";
import { Accounts } from "./accounts.ts";

/** Who asks for the place that is refused: whoever runs fastsync, or a daemon for its callers. */
export type Asking = "here" | "daemon";

let own: string | undefined;

/** Who this process works as, as a sentence names it: `root`, `user ann`, `user ann, who runs the daemon`. */
export function doer(asking: Asking = "here"): string {
  own ??= ownName(process.geteuid?.());
  return asking === "here" ? own : `${own}, who runs the daemon`;
}

function ownName(uid: number | undefined): string {
  if (uid === 0) return "root";
  const name = uid === undefined ? undefined : new Accounts().nameOf("user", uid);
  return `user ${name === undefined ? (uid ?? "unknown") : printable(Buffer.from(name, "latin1"))}`;
}

/** Why a place as a whole cannot be used, from the errno that says so, of either sign. */
export function whyNot(errno: number, asking: Asking = "here"): string {
  if (!isDenied(errno)) return errnoText(errno);
  const who = doer(asking);
  const way = asking === "daemon" ? DAEMON_WAY : who === "root" ? "" : LOCAL_WAY;
  return `${deniedText(errno, who)}${way}`;
}

const DAEMON_WAY = "; its operator has to give that user access";
const LOCAL_WAY = "; run fastsync as a user who may (sudo)";

/** The same of what a system call threw; any other error is what it says. */
export function whyThrown(error: unknown, asking: Asking = "here"): string {
  const { errno, message } = error as { readonly errno?: unknown; readonly message?: unknown };
  return typeof errno === "number" ? whyNot(errno, asking) : String(message ?? error);
}
