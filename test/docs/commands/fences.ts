/**
 * Fenced blocks of a document, and what a comment on the line above one says about it:
 *
 *   <!-- not run: REASON -->   a command that cannot be run here; its syntax, verbs and flags are checked all the same
 *   <!-- exit: 25 -->          the exit code that the block is to have (0 otherwise)
 *   <!-- background -->        runs until the document ends: a daemon
 *   <!-- file: /etc/x.toml --> no command but a file, written there for the blocks that follow
 *
 * A `text` block after a command, with nothing between, is what the command prints (see `output.ts`).
 */
export interface Fence {
  /** Of the opening line, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  readonly marks: readonly Mark[];
  /** The text of the `text` block that follows, if there is one. */
  readonly output: string | undefined;
}

export type Mark =
  | { readonly kind: "not run"; readonly reason: string }
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "background" }
  | { readonly kind: "file"; readonly path: string };

/** Throws, with the line, on a fence that never ends and on a mark that means nothing. */
export function fencesOf(document: string): Fence[] {
  const fences: Fence[] = [];
  const lines = document.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const opening = /^( *)(```+)\s*(\S*)/.exec(lines[at]!);
    if (opening === null) continue;
    const [, indent = "", ticks = "", language = ""] = opening;
    const end = lines.findIndex((line, index) => index > at && line.trim() === ticks);
    if (end < 0) throw new Error(`line ${at + 1}: the block never ends`);
    const text = lines.slice(at + 1, end).map((line) => line.slice(line.startsWith(indent) ? indent.length : 0));
    const marks = marksAbove(lines, at);
    fences.push({ line: at + 1, language, text: `${text.join("\n")}\n`, marks, output: outputAfter(lines, end) });
    at = end;
  }
  return fences;
}

function marksAbove(lines: readonly string[], fence: number): Mark[] {
  const marks: Mark[] = [];
  for (let at = fence - 1; at >= 0; at--) {
    const comment = /^ *<!-- (.*) -->$/.exec(lines[at]!);
    if (comment === null) break;
    marks.push(markOf(comment[1]!, at + 1));
  }
  return marks;
}

function markOf(text: string, line: number): Mark {
  const [, word = "", rest = ""] = /^([a-z ]+?)(?:: (.*))?$/.exec(text) ?? [];
  if (word === "not run" && rest.length > 5) return { kind: "not run", reason: rest };
  if (word === "exit" && /^\d+$/.test(rest)) return { kind: "exit", code: Number(rest) };
  if (word === "background" && rest === "") return { kind: "background" };
  if (word === "file" && rest.startsWith("/")) return { kind: "file", path: rest };
  throw new Error(`line ${line}: <!-- ${text} --> is none of: not run: REASON, exit: N, background, file: /PATH`);
}

/** The `text` block that begins within two lines of `end`, with only blank lines between. */
function outputAfter(lines: readonly string[], end: number): string | undefined {
  let at = end + 1;
  while (at < lines.length && lines[at]!.trim() === "") at++;
  if (lines[at]?.trim() !== "```text") return undefined;
  const closing = lines.findIndex((line, index) => index > at && line.trim() === "```");
  return closing < 0 ? undefined : `${lines.slice(at + 1, closing).join("\n")}\n`;
}

export function codeToExpect(fence: Fence): number {
  for (const mark of fence.marks) if (mark.kind === "exit") return mark.code;
  return 0;
}

export function reasonNotToRun(fence: Fence): string | undefined {
  for (const mark of fence.marks) if (mark.kind === "not run") return mark.reason;
  return undefined;
}
