/** `jobs`: what its words mean, and how jobs look. */
import { describe, expect, test } from "bun:test";
import { jobsRequest } from "../../src/cli/commands/jobs.ts";
import { wordsWith } from "../../src/cli/settings/of-run.ts";
import { endText, jobFields, jobTable, progressOf, whatText } from "../../src/cli/text/job-text.ts";
import { argumentOf } from "../../src/cli/words/raw-args.ts";
import { UsageError } from "../../src/cli/words/usage-error.ts";
import { newCounters } from "../../src/core/events.ts";
import type { Job } from "../../src/core/jobs.ts";

const ID = "3f2a9c1e7b04";
const HOSTS = wordsWith(new Map());

describe("words", () => {
  test.each([
    ["", "list", "127.0.0.1", 9040, undefined],
    ["list", "list", "127.0.0.1", 9040, undefined],
    ["list nas", "list", "nas", 9040, undefined],
    ["nas:1234", "list", "nas", 1234, undefined],
    ["localhost", "list", "localhost", 9040, undefined],
    ["watch", "watch", "127.0.0.1", 9040, undefined],
    ["watch nas", "watch", "nas", 9040, undefined],
    [`watch ${ID}`, "watch", "127.0.0.1", 9040, ID],
    [`watch [fe80::1%eth0]:1 ${ID}`, "watch", "fe80::1%eth0", 1, ID],
    [`cancel nas ${ID}`, "cancel", "nas", 9040, ID],
  ])("jobs %s", (words, action, host, port, id) => {
    const request = jobsRequest(words.split(" ").filter(Boolean).map(argumentOf), HOSTS);
    expect(request).toEqual({ action, address: { host, port }, id } as never);
  });

  test.each([
    ["lst", "jobs knows list, watch and cancel, not 'lst'"],
    ["cancel nas", "which job? ID is missing"],
    ["cancel", "which job? ID is missing"],
    [`list ${ID}`, `list shows all jobs, and '${ID}' is one`],
    ["watch nas 3f2a", "'3f2a' is no job: an id has 12 hexadecimal digits"],
    ["list nas:/photos/", "'nas:/photos/' is no daemon"],
  ])("jobs %s is refused", (words, message) => {
    expect(() => jobsRequest(words.split(" ").map(argumentOf), HOSTS)).toThrow(UsageError);
    expect(() => jobsRequest(words.split(" ").map(argumentOf), HOSTS)).toThrow(message);
  });
});

describe("texts", () => {
  const job: Job = {
    ...{ id: ID, peer: "192.168.1.5", module: "backup", path: Buffer.from("2024/\n"), role: "target", verb: "mirror" },
    ...{
      dryRun: false,
      explains: undefined,
      other: undefined,
      startedMs: new Date(2030, 0, 2, 3, 4).getTime(),
      endedMs: undefined,
    },
    ...{ state: "running", bytes: 3_300_000_000, end: undefined },
    counters: { ...newCounters(), phase: "copying", filesTransferred: 1204, filesToTransfer: 5000, deleted: 2 },
  };
  const ended: Job = {
    ...{
      ...job,
      state: "ended",
      role: "source",
      module: undefined,
      other: "nas:9040",
      endedMs: job.startedMs + 65_000,
    },
    ...{ verb: "copy", dryRun: true, bytes: 12 },
    end: { exitCode: 23, exitReason: "partial", message: "1 failed\u001b[2J" },
  };

  test("a table", () => {
    expect(jobTable([job, ended, { ...job, state: "lost" }], Number.POSITIVE_INFINITY, true)).toEqual([
      "ID            STARTED           STATE             FILES     BYTES  WHAT",
      `${ID}  2030-01-02 03:04  copying           1,204  3.07 GiB  mirror to /backup/2024/\\012 by 192.168.1.5`,
      `${ID}  2030-01-02 03:04  partial (23)      1,204      12 B  copy (dry run) from //2024/\\012 to nas:9040, asked by 192.168.1.5`,
      `${ID}  2030-01-02 03:04  lost              1,204  3.07 GiB  mirror to /backup/2024/\\012 by 192.168.1.5`,
    ]);
  });

  test("what only looks for explain is told as that, with the verb that was named", () => {
    const looks = { ...job, dryRun: true, module: "m", path: Buffer.from("x") };
    expect(whatText({ ...looks, explains: "any" })).toBe("explain to /m/x by 192.168.1.5");
    expect(whatText({ ...looks, explains: "move", role: "source" })).toBe("explain move from /m/x by 192.168.1.5");
    expect(jobFields({ ...looks, explains: "any" }, "nas:9040")).toMatchObject({ dry_run: true, explains: "any" });
    expect(jobFields(job, "nas:9040")).toMatchObject({ explains: undefined });
  });

  test("how far it is, and how it ended", () => {
    expect(progressOf(job)).toBe("1,204/5,000+ files, 3.07 GiB, 2 deleted");
    expect(progressOf({ ...job, role: "source" })).toBe("1,204 files sent, 3.07 GiB, 2 deleted");
    expect(endText(ended)).toBe(
      `Job ${ID}: partial (exit 23) after 1 min 05 s, 1,204/5,000+ files, 12 B, 2 deleted: 1 failed\\033[2J`,
    );
  });
});
