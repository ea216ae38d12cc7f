/**
 * The commands of README.md and docs/: every `sh` block is run on a machine made for it (`commands/scene.sh`), has to end
 * with the exit code and print what the document says. What cannot be run here is marked with the reason
 * (`commands/fences.ts` has the marks), and held to the flag table all the same.
 */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { FLAGS } from "../../src/cli/words/flags.ts";
import { isVerb, VERB_NAMES } from "../../src/cli/words/verbs.ts";
import { codeToExpect, type Fence, fencesOf, reasonNotToRun } from "./commands/fences.ts";
import { printsAsStated } from "./commands/output.ts";
import { runDocument, sandboxMissing } from "./commands/sandbox.ts";
import { callsIn, complaintAbout } from "./commands/words.ts";
import { ROOT, textOf } from "./documents.ts";

/** Made by programs, or told in other words than commands. */
const WITHOUT_COMMANDS = new Set(["docs/behaviours.md", "docs/coverage.md", "docs/limits.md"]);
const documents = ["README.md", "SECURITY.md", "CONTRIBUTING.md", ...new Bun.Glob("docs/**/*.md").scanSync(ROOT)]
  .filter((path) => !WITHOUT_COMMANDS.has(path))
  .sort();

const SHELL = "sh";
/** Names of languages that would keep a command from being seen. */
const OTHER_SHELLS = ["bash", "shell", "console", "shell-session", "zsh", ""];

const missing = sandboxMissing();
const skipped = missing === undefined ? "" : ` (skipped: ${missing})`;

describe.each(documents)("%s", (path) => {
  const fences = fencesOf(textOf(path));
  const commands = fences.filter(({ language }) => language === SHELL);

  test("names the language of each block, `sh` for commands", () => {
    const wrong = fences.filter(({ language }) => OTHER_SHELLS.includes(language));
    expect(wrong.map(({ line, text }) => `${path}:${line}: ${text}`)).toEqual([]);
  });

  test("has shell that bash can read, with verbs and flags that exist", () => {
    const complaints = commands.flatMap((fence) => {
      const shell = spawnSync("bash", ["-n"], { input: fence.text, encoding: "utf8" });
      const calls = callsIn(fence.text).map((call) => [[call.name, ...call.words].join(" "), complaintAbout(call)]);
      // Blocks that are run may show an error on purpose; their exit code says whether it was meant.
      const unknown =
        reasonNotToRun(fence) === undefined ? [] : calls.filter(([, complaint]) => complaint !== undefined);
      return [
        ...(shell.status === 0 ? [] : [`${path}:${fence.line}: ${shell.stderr}`]),
        ...unknown.map(([command, complaint]) => `${path}:${fence.line}: ${command}: ${complaint}`),
      ];
    });
    expect(complaints).toEqual([]);
  });

  test("has units and cron tables whose commands exist", () => {
    const lines = fences.flatMap(({ language, text }) => text.split("\n").flatMap((line) => commandOf(language, line)));
    const wrong = lines.flatMap(callsIn).map((call) => complaintAbout(call));
    expect(wrong.filter((complaint) => complaint !== undefined)).toEqual([]);
  });

  test("names verbs and flags in its text that exist", () => {
    expect(unknownInText(textOf(path)).map((span) => `${path}: \`${span}\``)).toEqual([]);
  });

  // Most documents have none.
  if (commands.every((fence) => reasonNotToRun(fence) !== undefined)) return;
  test.skipIf(missing !== undefined)(`its commands do what it says${skipped}`, async () => {
    const results = await runDocument(fences);
    const wrong = commands.flatMap((fence) => {
      if (reasonNotToRun(fence) !== undefined) return [];
      const result = results.get(fence.line);
      const where = `${path}:${fence.line}:\n${fence.text}`;
      if (result === undefined) return [`${where}was not run`];
      const { code, printed } = result;
      if (code !== codeToExpect(fence)) return [`${where}ended with ${code}, not ${codeToExpect(fence)}:\n${printed}`];
      if (fence.output !== undefined && !printsAsStated(fence.output, printed))
        return [`${where}printed\n${printed}and not\n${fence.output}`];
      return [];
    });
    expect(wrong).toEqual([]);
  });
});

/** What a line of a systemd unit or of a cron table starts. */
function commandOf(language: string, line: string): string[] {
  if (language === "ini") return /^Exec\w+=[-@+!:]*(.*)$/.exec(line)?.slice(1) ?? [];
  if (language === "cron") return /^(?:[\d*/,-]+\s+){5}\w+\s+(.*)$/.exec(line)?.slice(1) ?? [];
  return [];
}

/** Spans such as `fastsync mirrow` and `fastsync copy --colour`, whatever places and placeholders follow. */
function unknownInText(text: string): string[] {
  const prose = text.replace(/^( *)```[\s\S]*?^\1```/gm, "");
  const spans = [...prose.matchAll(/`((?:npx |bunx |sudo )?fastsync [^`]*)`/g)].map(([, span]) => span!);
  return spans.filter((span) => {
    const words = span.replace(/\s+/g, " ").split(" ");
    const verb = words[words.indexOf("fastsync") + 1]!;
    const isPlaceholder = /^[A-Z.<[]|^--(help|version)$/.test(verb);
    const flags = words.flatMap((word) => /^--(?:no-)?([a-z][a-z0-9-]*)/.exec(word)?.slice(1) ?? []);
    const known = flags.every((flag) => FLAGS.some(({ name }) => name === flag || name === `no-${flag}`));
    return !(isPlaceholder || isVerb(verb)) || !known;
  });
}

describe("the check itself", () => {
  const fence = (text: string): Fence => fencesOf(text)[0]!;

  test("reads marks, languages and stated output", () => {
    const read = fence("<!-- exit: 25 -->\n```sh\nfalse\n```\n\n```text\nno\n```\n");
    expect(read).toMatchObject({ line: 2, language: "sh", text: "false\n", output: "no\n" });
    expect([codeToExpect(read), reasonNotToRun(read)]).toEqual([25, undefined]);
    expect(reasonNotToRun(fence("<!-- not run: needs systemd -->\n```sh\nx\n```\n"))).toBe("needs systemd");
    expect(() => fencesOf("<!-- skip -->\n```sh\nx\n```\n")).toThrow("line 1");
    expect(() => fencesOf("a\n```sh\nx\n")).toThrow("line 2");
  });

  test("finds calls among operators, quotes, redirections and other programs", () => {
    const script = [
      "sudo fastsync mirror --yes 'a b/' \"$T\"/ && echo fastsync >x 2>&1 | fastsyncd --port 1 # fastsync no",
      "install dist/fastsync /usr/bin/; if ! ./dist/fastsync check a/ b/; then false; fi; x=$(fastsync version)",
    ].join("\n");
    expect(callsIn(script)).toEqual([
      { name: "fastsync", words: ["mirror", "--yes", "a b/", "$T/"] },
      { name: "fastsyncd", words: ["--port", "1"] },
      { name: "fastsync", words: ["check", "a/", "b/"] },
      { name: "fastsync", words: ["version"] },
    ]);
  });

  test("knows a verb and a flag that are not there, in blocks and in text", () => {
    const [call] = callsIn("fastsync mirrow a/ b/");
    expect(complaintAbout(call!)).toContain("mirror");
    expect(complaintAbout({ name: "fastsync", words: ["copy", "--colour", "a", "b"] })).toContain("--colour");
    expect(complaintAbout({ name: "fastsyncd", words: ["--port", "1"] })).toBeUndefined();
    expect(unknownInText("`fastsync mirrow`, `fastsync copy --colour`, `fastsync copy --no-perms A B`")).toEqual([
      "fastsync mirrow",
      "fastsync copy --colour",
    ]);
    expect(VERB_NAMES.length).toBeGreaterThan(5);
  });

  test("takes what varies for equal, and nothing else", () => {
    expect(printsAsStated("a\n...\n3 files, 2 MiB in 5 ms", "a\nb\nc\n3 files, 7.5 KiB in 1.2 s\n")).toBe(true);
    expect(printsAsStated("made …/x", "made /tmp/1/x")).toBe(true);
    expect(printsAsStated("3 files", "4 files")).toBe(false);
    expect(printsAsStated("a", "a\nb")).toBe(false);
  });
});
