/** The program under test, and the circumstances that it is started in. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { TUNED_SETTINGS } from "../../src/tuned-restart.ts";

export interface Circumstances {
  readonly cwd?: string;
  /** Added to our own environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Runs as this user and a group of the same number, without any capability. Only root may ask for it. */
  readonly asUser?: number;
  /** A command that becomes the program: `setpriv ... --`, or a shell that changes its umask before. */
  readonly prefix?: readonly string[];
}

/** Where a program runs unless a test says otherwise. */
export const ROOT = resolve(import.meta.dir, "../..");

/** FASTSYNC_BIN (a binary, or a .ts for Bun) where set, else the source. */
export function fastsyncCommand(): string[] {
  const chosen = process.env["FASTSYNC_BIN"] ?? resolve(ROOT, "src/main.ts");
  return chosen.endsWith(".ts") ? [process.execPath, chosen] : [resolve(chosen)];
}

/** Why fastsync cannot be run, or undefined where it can. */
export function fastsyncMissing(): string | undefined {
  const command = fastsyncCommand().at(-1)!;
  return existsSync(command) ? undefined : `there is no ${command}`;
}

/** What stands before the program's own words. */
export function commandPrefix({ asUser, prefix = [] }: Circumstances): string[] {
  const become =
    asUser === undefined
      ? []
      : ["setpriv", `--reuid=${asUser}`, `--regid=${asUser}`, "--clear-groups", "--inh-caps=-all", "--"];
  return [...become, ...prefix];
}

/**
 * The tester's own configuration is not read, and their history not written. The compiled program has the settings of its
 * engine already, which it would start itself a second time for (test/cli/restart.test.ts is about that).
 */
export const NO_SETTINGS: Readonly<Record<string, string>> = {
  ...TUNED_SETTINGS,
  XDG_CONFIG_HOME: "/nonexistent",
  FASTSYNC_CONFIG: "",
  FASTSYNC_PROFILE: "",
  FASTSYNC_PRESET: "",
  XDG_STATE_HOME: "/dev/null",
};

export function environment({ asUser, env }: Circumstances): Record<string, string | undefined> {
  /* Neither the tester's settings nor a home that the ordinary user cannot read may change a result. */
  const base = asUser === undefined ? process.env : { ...process.env, HOME: "/" };
  return { ...base, ...NO_SETTINGS, NO_COLOR: "1", ...env };
}
