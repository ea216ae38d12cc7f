/**
 * Where this user's history lies: `$XDG_STATE_HOME/fastsync`, or `~/.local/state/fastsync` (XDG Base Directory
 * Specification: a relative XDG_STATE_HOME is to be ignored). The directory is the user's alone.
 */
import { closeSync, constants, existsSync, fstatSync, lstatSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

export interface StatePlace {
  readonly directory: string;
  readonly database: string;
  /** It is there when the user wants no history. */
  readonly off: string;
}

/** undefined: nobody says where home is, or there is none: accounts of services have one that nobody is to make. */
export function statePlace(env: Environment): StatePlace | undefined {
  const base = env["XDG_STATE_HOME"];
  const home = env["HOME"];
  const state = base?.startsWith("/")
    ? base
    : home?.startsWith("/") && existsSync(home)
      ? join(home, ".local/state")
      : undefined;
  if (state === undefined) return undefined;
  const directory = join(state, "fastsync");
  return { directory, database: join(directory, "history.sqlite"), off: join(directory, "history.off") };
}

/**
 * Makes the directory where it is missing. Throws when it is not a directory of whoever runs this, or others may write to
 * it: with sudo, HOME may be somebody else's, and in their directory names may change under our hands. Nothing is made in
 * what is somebody else's either: they could not use it.
 */
export function makeStateDirectory({ directory }: Pick<StatePlace, "directory">): void {
  const own = process.geteuid?.();
  if (ownerAbove(directory) !== own) throw new Error(`${directory} is not yours to make`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== own || (stat.mode & 0o022) !== 0)
    throw new Error(`${directory} is not a directory that only you may write to`);
}

/** Of the path, or of the nearest above it that is there. */
function ownerAbove(path: string): number {
  for (let here = path; ; here = dirname(here)) {
    const found = statSync(here, { throwIfNoEntry: false });
    if (found !== undefined) return found.uid;
  }
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
