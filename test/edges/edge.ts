/** What the tests of edges share: mirrors on this machine and to a daemon, and filesystems that live as long as a test. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { behavioursMissing } from "../behaviours/behaviour.ts";
import { canMount, type FilesystemKind, mountFilesystem } from "../support/filesystems.ts";
import { daemonFor, placed } from "../support/placement.ts";
import { ROOT } from "../support/program.ts";
import { type Argument, describe as describeResult, fastsyncJson, type JsonResult } from "../support/run.ts";

/** Why a filesystem cannot be used here, or undefined. */
export function missing(...kinds: readonly FilesystemKind[]): string | undefined {
  return behavioursMissing ?? kinds.map(canMount).find((reason) => reason !== undefined);
}

/** The verb with these words, and which exit code it must end with. */
export type Run = (verb: string, words: readonly Argument[], exitCode?: number) => Promise<JsonResult>;

interface Way {
  readonly name: string;
  readonly run: Run;
}

export const WAYS: readonly Way[] = [
  { name: "on this machine", run: (verb, words, exitCode) => ended([verb, ...words], exitCode) },
  {
    name: "to a daemon",
    run: (verb, words, exitCode) => ended(placed([verb, ...words], "push", daemonFor({}).port, ROOT), exitCode),
  },
];

async function ended(words: readonly Argument[], exitCode = 0): Promise<JsonResult> {
  const result = await fastsyncJson(words);
  if (result.exitCode !== exitCode || result.summary["exit_code"] !== exitCode)
    throw new Error(`exit code ${exitCode} was expected\n${describeResult(result)}`);
  return result;
}

/** The words of a mirror that asks nothing. */
export function mirrorWords(source: string, target: string, ...flags: readonly Argument[]): Argument[] {
  return ["--yes", ...flags, `${source}/`, `${target}/`];
}

/** Paths of the failures, sorted. */
export function failed({ summary }: JsonResult): string[] {
  return (summary["failures"] as { path: string }[]).map(({ path }) => path).sort();
}

/** What each failure is about: path, errno. */
export function failures({ summary }: JsonResult): { path: string; errno: number; message: string; code: string }[] {
  return summary["failures"] as { path: string; errno: number; message: string; code: string }[];
}

/** A filesystem for a source and one for a target, which go when the scope ends. */
export async function twoFilesystems(
  from: FilesystemKind,
  to: FilesystemKind,
  size = "512M",
): Promise<AsyncDisposable & { readonly source: string; readonly target: string }> {
  const stack = new AsyncDisposableStack();
  try {
    const source = join(stack.use(await mountFilesystem(from, from.startsWith("xfs") ? "512M" : size)).path, "source");
    const target = join(stack.use(await mountFilesystem(to, to.startsWith("xfs") ? "512M" : size)).path, "target");
    mkdirSync(source);
    return { source, target, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
