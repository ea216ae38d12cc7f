/** Where a daemon keeps what it remembers between two starts. */
import { statePlace } from "../history/state-place.ts";
import type { DaemonConfig } from "./config.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `state_directory`; or what systemd made for the service (StateDirectory= in systemd.exec(5)); or the user's own (XDG Base
 * Directory Specification). undefined: nothing is kept. A daemon on any free port is there for a moment, and remembers
 * only where it is told to.
 */
export function stateDirectory(config: DaemonConfig, env: Environment): string | undefined {
  const { stateDirectory: written, port } = config;
  if (written !== undefined) return written;
  if (port === 0) return undefined;
  const given = env["STATE_DIRECTORY"]?.split(":", 1)[0];
  if (given) return given;
  return statePlace(env)?.directory;
}
