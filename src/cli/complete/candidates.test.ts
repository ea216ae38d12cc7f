import { describe, expect, test } from "bun:test";
import { FLAGS, flagsOf, lettersOf } from "../words/flags.ts";
import { EXPLAINED_VERBS, VERB_NAMES, VERBS } from "../words/verbs.ts";
import { type Completion, complete, type Known } from "./candidates.ts";

const KNOWN: Known = {
  profiles: () => ["lan", "wan"],
  remotes: () => [{ name: "nas", endpoint: "nas.lan:/media" }],
  remotePaths: async (word) => (word.startsWith("nas:") ? ["nas:photos/", "nas:plain.txt"] : []),
};

/** The line after `fastsync`; what follows its last space is the word at the cursor. */
async function offered(line: string): Promise<Completion> {
  return await complete(line.split(" "), KNOWN);
}

async function values(line: string): Promise<string[]> {
  return (await offered(line)).candidates.map(({ value }) => value);
}

describe("what is offered", () => {
  test("verbs first, each with what it does", async () => {
    expect(await values("")).toEqual([...VERB_NAMES, "--help", "--version"]);
    expect(await offered("mir")).toEqual({
      candidates: [{ value: "mirror", about: VERBS.mirror.summary }],
      rest: "nothing",
    });
    expect(await values("--v")).toEqual(["--version"]);
    expect(await values("frobnicate --")).toEqual([]);
  });

  test.each([...VERB_NAMES])("all flags of %s, and no others", async (verb) => {
    const long = (await values(`${verb} --`)).map((value) => value.replace(/=.*$/, ""));
    expect([...new Set(long)].sort()).toEqual(
      flagsOf(verb)
        .map(({ name }) => `--${name}`)
        .sort(),
    );
    const letters = (await values(`${verb} -`)).filter((value) => /^-[A-Za-z0-9]$/.test(value));
    expect(letters.sort()).toEqual(
      flagsOf(verb)
        .flatMap((flag) => [...lettersOf(flag, verb)].slice(0, 1).map((letter) => `-${letter}`))
        .sort(),
    );
  });

  test("a flag that wants a value ends with its equal sign; one that may have none comes both ways", async () => {
    expect(await values("copy --fsy")).toEqual(["--fsync="]);
    expect(await values("copy --verif")).toEqual(["--verify", "--verify=readback"]);
  });

  test("no flag twice, but those that may be repeated, and none that contradicts what is there", async () => {
    expect(await values("copy --dry-run --dry")).toEqual([]);
    expect(await values("copy -nv --verb")).toEqual([]);
    expect(await values("copy --exclude x --exclude=")).toEqual([]);
    expect(await values("copy --exclude x --exclud")).toEqual(["--exclude=", "--exclude-from="]);
    expect(await values("copy --size-only --check")).toEqual([]);
    expect(await values("copy --checksum --size")).toEqual([]);
  });

  test("values with choices, in both spellings", async () => {
    expect(await values("copy --fsync ")).toEqual(["none", "file", "end"]);
    expect(await values("copy --fsync=e")).toEqual(["--fsync=end"]);
    expect(await values("copy --verify=")).toEqual(["--verify=readback"]);
    expect(await values("copy --copy-method=clone,m")).toEqual(["--copy-method=clone,mmap"]);
    expect(await values("copy --copy-method clone,clo")).toEqual([]);
    expect(await values("copy --profile wa")).toEqual(["wan"]);
    expect(await values("copy --preset low")).toEqual(await values("copy --profile low"));
    expect(await values("copy --dry-run=")).toEqual([]);
  });

  test("files and directories, where a flag names one", async () => {
    expect(await offered("copy --files-from ")).toEqual({ candidates: [], rest: "files" });
    expect(await offered("copy --files-from=li")).toEqual({ candidates: [], rest: "files" });
    expect(await offered("copy --temp-dir /v")).toEqual({ candidates: [], rest: "directories" });
    expect(await offered("copy --min-size ")).toEqual({ candidates: [], rest: "nothing" });
  });

  test("every hint of the table is known: a name of something, or a number or text that nobody can guess", () => {
    const guessed = ["FILE", "DIR", "NAME"];
    const unguessable =
      /^(N|SECONDS|PATTERN|RULE|SIZE|AGE|TEXT|USER:GROUP|RATE|LIST|ADDRESS|PORT|N\|P%|FROM:TO,\.\.\.)$/;
    for (const { name, value } of FLAGS) {
      if (value === undefined || value.choices !== undefined) continue;
      expect([name, guessed.includes(value.hint) || unguessable.test(value.hint)]).toEqual([name, true]);
    }
  });

  test("places: remotes with files, what is behind one, files where nothing is known", async () => {
    expect(await offered("copy ")).toEqual({ candidates: [{ value: "nas:", about: "nas.lan:/media" }], rest: "files" });
    expect(await offered("copy dir/na")).toEqual({ candidates: [], rest: "files" });
    expect(await values("copy nas:")).toEqual(["nas:photos/", "nas:plain.txt"]);
    expect(await values("copy a nas:pl")).toEqual(["nas:plain.txt"]);
    expect(await offered("copy other:x")).toEqual({ candidates: [], rest: "files" });
    expect(await offered("copy -- -n")).toEqual({ candidates: [], rest: "files" });
  });

  test("after explain: verbs and places, then what its verb takes", async () => {
    const runs = EXPLAINED_VERBS.map((verb) => ({ value: verb, about: VERBS[verb].summary }));
    const remote = { value: "nas:", about: "nas.lan:/media" };
    expect(await offered("explain ")).toEqual({ candidates: [...runs, remote], rest: "files" });
    expect(await values("explain --json m")).toEqual(["mirror", "move"]);
    expect(await offered("explain n")).toEqual({ candidates: [remote], rest: "files" });
    // A value before the verb is no line of a run, and behind a place or -- there is no verb.
    for (const line of ["explain --preset nas m", "explain a m", "explain -- m"])
      expect([line, await values(line)]).toEqual([line, []]);
    for (const verb of EXPLAINED_VERBS) {
      expect(await values(`explain ${verb} -`)).toEqual(await values(`${verb} -`));
      expect(await offered(`explain --json ${verb} --preset `)).toEqual(await offered(`${verb} --preset `));
    }
    expect(await values("explain mirror --max")).toEqual(["--max-size=", "--max-age=", "--max-delete="]);
    expect(await values("explain --json mirror --jso")).toEqual([]);
    expect(await offered("explain mirror a b ")).toEqual({ candidates: [], rest: "nothing" });
    expect(await values("explain --max")).toEqual(["--max-size=", "--max-age=", "--max-delete="]);
  });

  test("no more places than the verb takes, and words where it takes words", async () => {
    expect(await offered("mirror a b ")).toEqual({ candidates: [], rest: "nothing" });
    expect(await offered("mirror -n a --fsync end b ")).toEqual({ candidates: [], rest: "nothing" });
    expect(await values("config ")).toEqual(["show", "check"]);
    expect(await values("completions p")).toEqual(["powershell"]);
    expect(await values("help mir")).toEqual(["mirror"]);
    expect(await offered("capabilities /")).toEqual({ candidates: [], rest: "directories" });
    expect(await values("jobs w")).toEqual(["watch"]);
    expect(await values("jobs watch nas.lan ")).toEqual([]);
    expect(await offered("jobs watch ")).toEqual({
      candidates: [{ value: "nas.lan", about: "of nas" }],
      rest: "nothing",
    });
    expect(await values("list-modules n")).toEqual(["nas.lan"]);
    expect(await offered("daemon ")).toEqual({ candidates: [], rest: "nothing" });
  });
});
