/** Which module a peer may use, and how. */
import { ExitCode } from "../core/exit-codes.ts";
import { RunError } from "../core/run-error.ts";
import { decideAccess } from "./access.ts";
import { type DaemonConfig, type ModuleConfig, moduleNamed } from "./config.ts";
import { moduleTrouble } from "./module-state.ts";

export interface Use {
  readonly reads: boolean;
  readonly writes: boolean;
}

export function shownModule(name: string | undefined): string {
  return name === undefined ? "the root of this daemon" : `module '${name}'`;
}

/** Throws RunError. `name` undefined: the root. `warn` hears what the peer is not told. */
export function moduleFor(
  config: DaemonConfig,
  name: string | undefined,
  use: Use,
  peer: string,
  warn: (message: string) => void,
): ModuleConfig {
  const shown = shownModule(name);
  const module = moduleNamed(config, name);
  // To whom it is closed it looks as if it were not there.
  if (module === undefined || decideAccess(module, peer).kind === "denied")
    throw new RunError(
      ExitCode.selecting,
      "no_such_module",
      `${name === undefined ? "this daemon has no root" : `there is no ${shown} here`}, or it is not open to you`,
    );
  if (use.writes && module.access === "read_only")
    throw new RunError(ExitCode.selecting, "read_only_module", `${shown} is read-only`);
  if (use.reads && module.access === "write_only")
    throw new RunError(ExitCode.selecting, "write_only_module", `${shown} is write-only`);
  const trouble = moduleTrouble(module);
  if (trouble !== undefined) {
    warn(`${shown} is not available: ${trouble}`);
    throw new RunError(ExitCode.selecting, "module_unavailable", `${shown} is not available at the moment`);
  }
  return module;
}
