/**
 * Where this user's history lies: `$XDG_STATE_HOME/fastsync`, or `~/.local/state/fastsync` (XDG Base Directory
 * Specification: a relative XDG_STATE_HOME is to be ignored). The directory is the user's alone.
 */
import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

export interface StatePlace {
  readonly directory: string;
  readonly database: string;
  /** It is there when the user wants no history. */
  readonly off: string;
}

/** undefined: nobody says where home is. */
export function statePlace(env: Environment): StatePlace | undefined {
  const base = env["XDG_STATE_HOME"];
  const home = env["HOME"];
  const state = base?.startsWith("/") ? base : home?.startsWith("/") ? join(home, ".local/state") : undefined;
  if (state === undefined) return undefined;
  const directory = join(state, "fastsync");
  return { directory, database: join(directory, "history.sqlite"), off: join(directory, "history.off") };
}

/**
 * Makes the directory where it is missing. Throws when it is not a directory of whoever runs this, or others may write to
 * it: with sudo, HOME may be somebody else's, and in their directory names may change under our hands.
 */
export function makeStateDirectory({ directory }: StatePlace): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== process.geteuid?.() || (stat.mode & 0o022) !== 0)
    throw new Error(`${directory} is not a directory that only you may write to`);
}

/** Makes the file private before anybody else opens it. Throws when something else has the name. */
export function makePrivateFile(path: string): void {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.uid !== process.geteuid?.()) throw new Error(`${path} is not a file of yours`);
  } finally {
    closeSync(fd);
  }
}
