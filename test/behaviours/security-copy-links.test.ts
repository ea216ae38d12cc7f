/** --copy-links with a daemon as the source: links lead anywhere inside the module, and nowhere else. */
import { expect, setDefaultTimeout } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PLACEMENT, startDaemon } from "../support/placement.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing, run } from "./behaviour.ts";
import { compilerMissing } from "./c/programs.ts";
import { describe, test } from "./placed-test.ts";
import { linkTo, RACE_MS, race, SECRET } from "./races.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

const isPortable = process.env["FASTSYNC_NATIVE"] === "off";
const reason =
  behavioursMissing ?? (PLACEMENT === undefined ? undefined : "these runs have a daemon of their own already");
const MESSAGE = "the link leads out of the module";

interface NamedFailure {
  readonly path: string;
  readonly code: string;
  readonly message: string;
}

describe.skipIf(reason !== undefined)(because("--copy-links of a daemon", reason), () => {
  test.skipIf(isPortable)(
    "S13 S10 links inside the module are followed, others are named and not looked at",
    async () => {
      using dir = tempDir();
      const target = dir.join("target");
      new TreeBuilder(dir.join("outside")).file("secret", SECRET).finish();
      new TreeBuilder(dir.join("module"))
        .file("shared/lib/a", "a")
        .file("place/own", "own")
        .symlink("place/lib", "../shared/lib")
        .symlink("place/deep/er/a", "../../../shared/lib/a")
        .symlink("place/chain", "lib/../lib/a")
        .symlink("place/around", "../../module/shared/lib/a")
        .symlink("place/out", "../../outside")
        .symlink("place/secret", "../../outside/secret")
        .symlink("place/nothing", "../../outside/there-is-nothing")
        .symlink("place/absolute", dir.join("module/shared/lib/a"))
        .symlink("place/proc", "/proc/self/fd")
        .symlink("place/dangling", "nowhere")
        .finish();
      const daemon = startDaemon({}, dir.join("module"));
      try {
        const from = `127.0.0.1:${daemon.port}:/root/place`;
        const { summary } = await run("mirror", ["--yes", "--copy-links", `${from}/`, target], { exitCode: 23 });
        const failures = summary["failures"] as NamedFailure[];
        const out = failures.filter(({ message }) => message === MESSAGE);
        expect(out.map(({ path }) => path).sort()).toEqual(["absolute", "around", "nothing", "out", "proc", "secret"]);
        expect(new Set(out.map(({ code }) => code))).toEqual(new Set(["permission"]));
        expect(failures.filter((failure) => !out.includes(failure)).map(({ path }) => path)).toEqual(["dangling"]);
        for (const name of ["lib/a", "deep/er/a", "chain"]) expect(readFileSync(join(target, name), "utf8")).toBe("a");
        for (const { path } of out) expect(existsSync(join(target, path))).toBe(false);
        /* The place itself may be such a link. */
        await run("copy", ["--copy-links", `${from}/lib`, `${dir.join("one")}/`]);
        expect(readFileSync(dir.join("one/lib/a"), "utf8")).toBe("a");
        await run("copy", ["--copy-links", `${from}/secret`, dir.join("two")], { exitCode: 3 });
        await run("copy", ["--copy-links", "--checksum", `${from}/lib`, `${dir.join("one")}/`]);
        expect(existsSync(dir.join("two"))).toBe(false);
      } finally {
        await daemon.stop();
      }
    },
  );

  test.skipIf(!isPortable)("S13 S10 a daemon without the native library refuses it", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.join("module")).file("a", "a").finish();
    const daemon = startDaemon({}, dir.join("module"));
    try {
      const words = ["--copy-links", `127.0.0.1:${daemon.port}:/root/`, dir.join("target")];
      await run("copy", words, { exitCode: 1 });
      expect(existsSync(dir.join("target"))).toBe(false);
    } finally {
      await daemon.stop();
    }
  });

  const raceReason = isPortable ? "refused there" : compilerMissing;
  test.skipIf(raceReason !== undefined)(
    because("S13 S10 S01 what changes into a link that leads out is never read", raceReason),
    async () => {
      let daemon: ReturnType<typeof startDaemon> | undefined;
      try {
        const { runs, swaps } = await race(
          {
            build: ({ source, outside }) => {
              mkdirSync(outside);
              const tree = new TreeBuilder(source);
              for (const inner of ["", "below/"]) {
                new TreeBuilder(outside).file(`${inner}file`, SECRET).finish();
                for (let i = 0; i < 4; i++) tree.file(`d/real${i}/${inner}file`, "harmless");
              }
              for (let i = 0; i < 4; i++) {
                tree.symlink(`via${i}`, `d/real${i}/below`).symlink(`d/to${i}`, `real${i}/file`);
                tree.symlink(`d/up${i}`, `../d/real${i}/below/../below/file`);
              }
              tree.finish();
              daemon = startDaemon({}, source);
            },
            flips: ({ source }) => ({
              names: [0, 1, 2, 3].map((i) => join(source, `d/real${i}`)),
              impostor: linkTo("../../outside"),
            }),
            words: ({ dir }, round) => [
              ...["mirror", "--yes", "--json", "--copy-links", "--checksum"],
              ...["--max-delete", "100%", `127.0.0.1:${daemon!.port}:/root/`, dir.join(`target/${round}`)],
            ],
          },
          { placement: "local", user: "root" },
          2 * RACE_MS,
        );
        expect(runs).toBeGreaterThan(0);
        expect(swaps).toBeGreaterThan(0);
      } finally {
        await daemon?.stop();
      }
    },
  );
});
