/** The man pages: the tables of verbs and flags, and the documents that people read anyway. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EXAMPLES, exitCodesText } from "../../../src/cli/text/help.ts";
import { VERSION } from "../../../src/cli/version.ts";
import { type Flag, flagsOf, GROUPS, helpOf, lettersOf } from "../../../src/cli/words/flags.ts";
import { VERB_NAMES, VERBS, type VerbInfo, type VerbName } from "../../../src/cli/words/verbs.ts";
import { root } from "../root.ts";
import { bodyOf, type Part, partAsSection, partsOf } from "./markdown.ts";
import { bold, escaped, example, filled, heading, italic, paragraph, section, subsection, tagged } from "./roff.ts";

export interface Page {
  /** `fastsync-copy.1` */
  readonly file: string;
  readonly text: string;
}

/** Verbs without a page of their own: the daemon has fastsyncd(8). */
const WITHOUT_PAGE: readonly VerbName[] = ["daemon", "help", "version"];

const MANUALS = { 1: "User Commands", 5: "File Formats", 7: "Miscellaneous", 8: "System Administration" } as const;

/** `date`: YYYY-MM-DD, the same for all. */
export function manPages(date: string): Page[] {
  const verbs = VERB_NAMES.filter((verb) => !WITHOUT_PAGE.includes(verb));
  const page = (name: string, number: keyof typeof MANUALS, summary: string, lines: readonly string[]): Page => {
    const all = [
      ...heading({ name, section: number, date, source: `fastsync ${VERSION}`, manual: MANUALS[number] }),
      ...section("name"),
      `${escaped(name, true)} \\- ${escaped(summary)}`,
      ...lines,
    ];
    // A heading begins a paragraph by itself.
    const kept = all.filter((line, at) => line !== ".PP" || !/^\.S[HS] /.test(all[at - 1] ?? ""));
    return { file: `${name}.${number}`, text: `${kept.join("\n")}\n` };
  };
  return [
    page("fastsync", 1, "copy, mirror and move file trees", overview()),
    ...verbs.map((verb) => page(`fastsync-${verb}`, 1, VERBS[verb].summary, verbPage(verb))),
    page("fastsyncd", 8, VERBS.daemon.summary, daemonPage()),
    page("fastsync.toml", 5, "configuration of fastsync and of its daemon", configurationPage()),
    page("fastsync-scripting", 7, "exit codes and the output of --json", scriptingPage()),
  ];
}

function document(name: string): Part[] {
  return partsOf(readFileSync(join(root, "docs", name), "utf8"));
}

function named(parts: readonly Part[], title: string): Part {
  const part = parts.find((one) => one.title === title);
  if (part === undefined) throw new Error(`the documents have no part "${title}" any more`);
  return part;
}

function overview(): string[] {
  const configuration = document("configuration.md");
  return [
    ...section("synopsis"),
    `${bold("fastsync")} ${italic("VERB")} [${italic("flags")}] ${italic("SOURCE")}... ${italic("TARGET")}`,
    ...section("description"),
    ...filled(
      `${bold("fastsync")} copies, mirrors and moves file trees, on one machine or with its daemon, ${bold("fastsyncd")}(8), between machines. Data is written beside its place and gets its name when it is whole; what is already equal is left alone; deletions come last and only after the source was read completely.`,
    ),
    ...section("verbs"),
    ...VERB_NAMES.flatMap((verb) => tagged(bold(verb), `${escaped(VERBS[verb].summary)}.${pageOf(verb)}`)),
    ...section("places"),
    ...VERBS.copy.notes.slice(0, 2).flatMap((note) => paragraph(marked(note))),
    ...section("examples"),
    ...EXAMPLES.flatMap(([line, about]) => [
      ...(about === "" ? [] : paragraph(`${escaped(about[0]!.toUpperCase() + about.slice(1))}:`)),
      ...example([line]),
    ]),
    ...section("exit status"),
    ...bodyOf(named(document("scripting.md"), "Exit codes").lines),
    ...partAsSection({ ...named(configuration, "Variables"), title: "environment" }),
    ...section("files"),
    ...tagged(
      italic("/etc/fastsync/config.toml"),
      escaped("what counts for everybody on the machine; beside it conf.d/*.toml"),
    ),
    ...tagged(italic("~/.config/fastsync/config.toml"), escaped("what counts for one user")),
    ...seeAlso(["fastsync-copy(1)", "fastsync-mirror(1)", "fastsyncd(8)", "fastsync.toml(5)", "fastsync-scripting(7)"]),
  ];
}

function pageOf(verb: VerbName): string {
  if (verb === "daemon") return ` ${bold("fastsyncd")}(8)`;
  return WITHOUT_PAGE.includes(verb) ? "" : ` ${bold(`fastsync-${verb}`)}(1)`;
}

function verbPage(verb: VerbName): string[] {
  const info: VerbInfo = VERBS[verb];
  const exits = exitCodesText(verb);
  return [
    ...section("synopsis"),
    synopsis(info.usage),
    ...section("description"),
    ...(info.notes.length === 0
      ? filled(`${escaped(info.summary[0]!.toUpperCase() + info.summary.slice(1))}.`)
      : info.notes.flatMap((note) => paragraph(marked(note)))),
    ...flagSections(verb),
    ...(exits === undefined
      ? []
      : [
          ...section("exit status"),
          ...filled(escaped(exits)),
          ...filled(`The whole list is in ${bold("fastsync")}(1).`),
        ]),
    ...seeAlso(["fastsync(1)", "fastsync.toml(5)", "fastsync-scripting(7)"]),
  ];
}

function daemonPage(): string[] {
  const parts = document("daemon.md");
  const [first, ...others] = parts;
  return [
    ...section("synopsis"),
    `${bold("fastsyncd")} [${italic("flags")}]`,
    ".br",
    synopsis(VERBS.daemon.usage),
    ...section("description"),
    ...bodyOf(first!.lines),
    ...flagSections("daemon"),
    ...others.filter(({ title }) => title !== "Configuration").flatMap(partAsSection),
    ...seeAlso(["fastsync(1)", "fastsync.toml(5)"]),
  ];
}

function configurationPage(): string[] {
  const [first, ...others] = document("configuration.md");
  return [
    ...section("description"),
    ...bodyOf(first!.lines),
    ...others.filter(({ title }) => title !== "Variables").flatMap(partAsSection),
    ...section("the daemon"),
    ...bodyOf(named(document("daemon.md"), "Configuration").lines),
    ...seeAlso(["fastsync(1)", "fastsync-config(1)", "fastsyncd(8)"]),
  ];
}

function scriptingPage(): string[] {
  const [first, ...others] = document("scripting.md");
  return [
    ...section("description"),
    ...filled("What programs may rely on."),
    ...bodyOf(first!.lines),
    ...others.flatMap((part) =>
      part.title === "Patterns" ? partAsSection({ ...part, title: "examples" }) : partAsSection(part),
    ),
    ...seeAlso(["fastsync(1)"]),
  ];
}

/** `fastsync copy [flags] SOURCE... TARGET`: what is to be replaced in italics. */
function synopsis(usage: string): string {
  return usage
    .split(/([A-Z]{2,}|flags)/)
    .map((piece, index) => (index % 2 === 1 ? italic(piece) : piece.replace(/[a-z_-]+/g, (word) => bold(word))))
    .join("");
}

function flagSections(verb: VerbName): string[] {
  const flags = flagsOf(verb);
  const groups = GROUPS.filter((group) => flags.some((flag) => flag.group === group));
  return [
    ...section("options"),
    ...groups.flatMap((group) => [
      ...subsection(group),
      ...flags
        .filter((flag) => flag.group === group)
        .flatMap((flag) => tagged(flagTerm(flag, verb), `${marked(capital(helpOf(flag, verb)))}.`)),
    ]),
  ];
}

function flagTerm(flag: Flag, verb: VerbName): string {
  const { name, value } = flag;
  const [first] = lettersOf(flag, verb);
  const letter = first === undefined ? "" : `${bold(`-${first}`)}, `;
  const long = bold(`--${name}`);
  if (value === undefined) return letter + long;
  return value.optional ? `${letter}${long}[=${italic(value.hint)}]` : `${letter}${long} ${italic(value.hint)}`;
}

function capital(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}

/** Flags in running text stand out. */
function marked(text: string): string {
  return text
    .split(/((?<![\w-])--?[a-zA-Z][\w-]*|`[^`]*`)/)
    .map((piece, index) => (index % 2 === 1 ? bold(piece.replaceAll("`", "")) : escaped(piece)))
    .join("");
}

function seeAlso(names: readonly string[]): string[] {
  const written = names.map((name) => {
    const [, title, number] = /^(.*)\((\d)\)$/.exec(name)!;
    return `${bold(title!)}(${number})`;
  });
  return [...section("see also"), ...filled(written.join(", "))];
}
