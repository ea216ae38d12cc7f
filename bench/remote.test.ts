/** Runs over the network that were not what they are taken for must not count: each kind is made, and has to fail. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { tempDir } from "../test/support/temp.ts";
import { subjectMissing } from "./commands.ts";
import { type Cell, cellFor, runCase } from "./harness.ts";
import { DIRECTIONS, type Ends, farAway, fastsyncOver, openEnds, rsyncOver } from "./remote.ts";
import { startDelayProxy } from "./services.ts";
import { prepareTools } from "./tools.ts";
import type { Case, Place } from "./workload.ts";

const tools = prepareTools();
const skip = process.platform !== "linux" || tools.delay === undefined || subjectMissing() !== undefined;
const TIMEOUT = 60_000;

describe.skipIf(skip)(`runs over the network${skip ? " (skipped: needs Linux and a C compiler)" : ""}`, () => {
  for (const direction of DIRECTIONS) {
    test(
      `${direction}: a good run counts, near and far, with the other end's figures`,
      async () => {
        await using place = await smallPlace();
        const ends = await openEnds(place);
        for (const by of [ends, await farAway(place, ends, "127.0.0.2", 4)]) {
          const { costs, failures } = await ran(fastsyncOver(place, by, direction), place);
          expect(failures).toEqual([]);
          expect(costs[0]!.figures!.streams).toBeGreaterThan(0);
          expect(costs[0]!.figures!.wireBytes).toBeGreaterThan(20 * 4096);
          expect(costs[0]!.figures!.otherRssKiB).toBeGreaterThan(1000);
          for (const one of rsyncOver(place, by, direction)) expect((await ran(one, place)).failures).toEqual([]);
        }
      },
      TIMEOUT,
    );
  }

  test(
    "bytes of content are those of the tree, and the control connection has no data connections beside it",
    async () => {
      await using place = await smallPlace();
      const ends = await openEnds(place);
      const json = await ran(fastsyncOver(place, ends, "push", ["--json"]), place);
      expect([json.failures, json.costs[0]?.figures?.payloadBytes]).toEqual([[], 20 * 4096]);
      const inControl = await ran(fastsyncOver(place, ends, "push", ["--force-grpc"]), place);
      expect([inControl.failures, inControl.costs[0]?.figures?.streams]).toEqual([[], 0]);
    },
    TIMEOUT,
  );

  test(
    "content that had to go through the control connection is a failure",
    async () => {
      await using place = await smallPlace();
      const ends = await openEnds(place);
      const host = "127.0.0.2";
      await using _ = await startDelayProxy(tools.delay!, host, 0, [ends.daemon.port]);
      const cut: Ends = { ...ends, host };
      const told = await ran(fastsyncOver(place, cut, "push"), place);
      expect([told.costs, told.failures.length]).toEqual([[], 1]);
      expect(told.failures[0]).toContain("a word");
      /* Had it kept silent about it, the kernel would have known. */
      const { silent: _silent, ...mute } = fastsyncOver(place, cut, "push");
      expect((await ran(mute, place)).failures).toEqual(["there was no data connection"]);
    },
    TIMEOUT,
  );

  test(
    "a target that is not its source is a failure",
    async () => {
      await using place = await smallPlace();
      const one = fastsyncOver(place, await openEnds(place), "pull");
      const spoilt: Case = {
        ...one,
        observe: () => {
          const done = one.observe!();
          return async () => {
            writeFileSync(`${place.target}/extra`, "");
            return done();
          };
        },
      };
      expect((await ran(spoilt, place)).failures[0]).toContain("another tree");
    },
    TIMEOUT,
  );
});

async function ran(one: Case, place: Place): Promise<Cell> {
  const cell = cellFor(one);
  await runCase(one, cell, place);
  return cell;
}

async function smallPlace(): Promise<Place & AsyncDisposable> {
  const scratch = tempDir();
  const services = new AsyncDisposableStack();
  services.defer(() => scratch[Symbol.dispose]());
  const [source, target] = [scratch.join("source"), scratch.join("target")];
  tools.gen("files", source, 20, 4, 4096, 0);
  /* As the harness does, for rsync and the times of directories. */
  await Bun.sleep(1100);
  return {
    filesystem: "tmpfs",
    mount: scratch.path,
    source,
    target,
    tools,
    services,
    scale: (full) => full,
    [Symbol.asyncDispose]: () => services.disposeAsync(),
  };
}
