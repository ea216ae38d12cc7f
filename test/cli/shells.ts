/** Shells on a terminal: lines are typed into them, and what the program would be called with comes back. */
import { chmodSync, writeFileSync } from "node:fs";
import { eventually } from "../network/support/daemon.ts";
import { fastsyncCommand } from "../support/program.ts";

/**
 * A program in `directory` that answers `__complete` as fastsync does, and otherwise only says what it was called with.
 * For a shell that completes by running it.
 */
export function tellingProgram(directory: string, name: string): void {
  const path = `${directory}/${name}`;
  const real = fastsyncCommand()
    .map((word) => `'${word}'`)
    .join(" ");
  writeFileSync(
    path,
    `#!/bin/sh
if [ "$1" = __complete ] || [ "$1" = completions ]; then exec ${real} "$@"; fi
printf 'CALLED'
for word; do printf '[%s]' "$word"; done
printf 'SO\\n'
`,
  );
  chmodSync(path, 0o755);
}

export interface Typing {
  readonly shell: readonly string[];
  /** What the shell has to run before it is typed into. */
  readonly setup: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Types each line and a return; gives the words of each call. */
export async function typed({ shell, setup, cwd, env }: Typing, lines: readonly string[]): Promise<string[][]> {
  let output = "";
  const child = Bun.spawn([...shell], {
    cwd,
    env: { ...env, TERM: "dumb", PS1: "> " },
    terminal: {
      cols: 200,
      rows: 50,
      data(_, data) {
        output += Buffer.from(data).toString();
      },
    },
  });
  const calls = (): string[][] =>
    [...output.matchAll(/CALLED((?:\[[^\]]*\])*)SO/g)].map(([, words]) =>
      [...words!.matchAll(/\[([^\]]*)\]/g)].map(([, word]) => word!),
    );
  try {
    child.terminal!.write(`${setup}; echo RE''ADY\r`);
    await eventually(
      () => output.includes("READY"),
      () => `a shell that is ready:\n${output}`,
    );
    for (const [index, line] of lines.entries()) {
      child.terminal!.write(`${line}\r`);
      await eventually(
        () => calls().length > index,
        () => `a call by ${JSON.stringify(line)}:\n${output}`,
      );
    }
    return calls();
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    child.terminal!.close();
  }
}
