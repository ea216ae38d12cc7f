/**
 * A guard is worth what it catches: each fault here is put into the program, and the check that is there for it has to
 * fail, and for the right reason. That the same checks pass on the program as it is, the other parts of the test run
 * show.
 *
 *     for each mutation, two at a time: apply its edits, build, run its one test, hold the outcome to what it must be
 *
 * A mutation that no longer fits the sources is a failure by name: it guards nothing. The usual run builds every class of
 * fault and a fifth of the races, whose steps are alike; FASTSYNC_CANARIES=all builds every one.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bunCounts } from "../../scripts/test/counts.ts";
import { Semaphore } from "../../src/core/semaphore.ts";
import { because, behavioursMissing } from "../behaviours/behaviour.ts";
import { compilerMissing } from "../behaviours/c/programs.ts";
import { ROOT } from "../support/program.ts";
import { fastsyncCommand, isRoot } from "../support/run.ts";
import type { Check, Mutation } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";
import { type Built, Workshop } from "./workshop.ts";

/** Far above what is needed: a busy machine is no failure, and a check that lives with the fault says so by itself. */
const LIMIT_MS = 60_000;
/* They wait for each other. */
setDefaultTimeout(20 * 60_000);

const reason = behavioursMissing ?? compilerMissing ?? (isRoot() ? undefined : "most of the checks need root");
const workshop = new Workshop();
const slots = new Semaphore(2);
afterAll(() => workshop[Symbol.dispose]());

describe.skipIf(reason !== undefined)(because("a check does not live with", reason), () => {
  for (const mutation of chosen()) test.concurrent(mutation.title, () => slots.run(() => mustBeCaught(mutation)));
});

test("every mutation fits the sources", () => {
  const misfits = MUTATIONS.flatMap(({ title, edits }) =>
    edits.flatMap((edit) => {
      if (!("find" in edit)) return [];
      const times = readFileSync(join(ROOT, edit.file), "utf8").split(edit.find).length - 1;
      return times === 1 ? [] : [`${title}: ${edit.file} has ${times} times: ${edit.find}`];
    }),
  );
  expect(misfits).toEqual([]);
});

function chosen(): readonly Mutation[] {
  if (process.env["FASTSYNC_CANARIES"] === "all") return MUTATIONS;
  const isRace = ({ title }: Mutation): boolean => title.startsWith("S race ");
  return [...MUTATIONS.filter((one) => !isRace(one)), ...MUTATIONS.filter(isRace).filter((_, i) => i % 5 === 0)];
}

/** A race bites when the flipper comes in between two steps, which a busy machine may not let it do the first time. */
const RACE_TRIES = 3;

async function mustBeCaught({ title, edits, check, says }: Mutation): Promise<void> {
  using built = await workshop.build(edits);
  let tried = await runCheck(check, built);
  for (let tries = 1; title.startsWith("S race ") && tried.exitCode === 0 && tries < RACE_TRIES; tries++)
    tried = await runCheck(check, built);
  const { output, exitCode, isLate } = tried;
  const fail = (what: string): never => {
    throw new Error(`${what}: ${check.file}, ${check.test}\n${output.slice(-6000)}`);
  };
  if (isLate) fail(`the check did not end in ${LIMIT_MS} ms`);
  const counts = bunCounts(output, exitCode);
  if (counts === undefined || counts.passed + counts.failed === 0) return fail("there is no such check");
  if (counts.passed + counts.failed > 1) return fail("it is more than one check");
  if (counts.failed === 0) return fail("the check lives with the fault");
  if (!output.includes(says)) return fail(`the check fails, but does not say "${says}"`);
}

async function runCheck(check: Check, built: Built): Promise<{ output: string; exitCode: number; isLate: boolean }> {
  const { placement } = check;
  const command = [
    ...[process.execPath, "test", "--timeout=60000", "-t", literally(check.test)],
    ...(placement === undefined ? [] : ["--preload=./test/behaviours/stop-daemons.ts"]),
    `./${check.file}`,
  ];
  const child = Bun.spawn(command, {
    cwd: built.root,
    env: {
      ...process.env,
      FASTSYNC_BIN: fastsyncCommand().at(-1),
      FASTSYNC_RACE_MS: "25000",
      FASTSYNC_RACES: "all",
      FASTSYNC_NATIVE: check.backend === "portable" ? "off" : undefined,
      FASTSYNC_PLACEMENT: placement,
      NO_COLOR: "1",
      ...built.env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const texts = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { output: texts.join(""), exitCode: await child.exited, isLate: child.signalCode === "SIGKILL" };
}

/** Bun takes a regular expression. */
function literally(name: string): string {
  return name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
