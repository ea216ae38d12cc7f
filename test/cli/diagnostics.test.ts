/** `diagnostics` and `doctor` as records; and that a bug report holds nothing of whoever sends it. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";
import { redacted, redactedValue } from "../../src/cli/diagnostics/redact.ts";
import { CHECKS, LEVELS } from "../../src/doctor/finding.ts";
import { DOCS, fieldsOf, type Schema } from "../support/events-schema.ts";
import { fastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { jsonLines } from "./processes.ts";

const TEXT = readFileSync(`${DOCS}/schema/doctor.schema.json`, "utf8");
const SCHEMA = JSON.parse(TEXT) as { $defs: Record<string, Schema & Record<string, unknown>> };

/** As strict as the program has to be: no field that is not described. */
function closed() {
  const copy = JSON.parse(TEXT) as typeof SCHEMA;
  for (const name of ["finding", "doctor", "diagnostics"]) copy.$defs[name]!["unevaluatedProperties"] = false;
  return new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(copy);
}

describe("the schema", () => {
  const fits = closed();
  test("describes every line of doctor and of diagnostics", async () => {
    using dir = tempDir();
    for (const words of [["doctor"], ["doctor", dir.path, "sftp://x/y"], ["diagnostics", dir.path]]) {
      const { stdout } = await fastsync([...words, "--json"]);
      const lines = jsonLines(stdout);
      for (const line of lines)
        if (!fits(line)) throw new Error(`${JSON.stringify(line)}\n${JSON.stringify(fits.errors)}`);
      expect(lines.at(-1)!["type"]).toBe(words[0]!);
    }
    expect(fits({ schema: 1, type: "finding", check: "kernel", level: "fine", message: "" })).toBe(false);
    expect(fits({ schema: 1, type: "doctor", ok: 1, warnings: 0, problems: 0, exit_code: 0, more: 1 })).toBe(false);
  });
  test("has the program's words, and the guide names every field", () => {
    expect([...(SCHEMA.$defs["check"]!.enum as string[])].sort()).toEqual([...CHECKS].sort());
    expect(SCHEMA.$defs["level"]!.enum as string[]).toEqual([...LEVELS]);
    const guide = readFileSync(`${DOCS}/scripting.md`, "utf8");
    for (const name of ["facts", "doctor", "diagnostics"])
      for (const field of fieldsOf(SCHEMA.$defs[name]!))
        expect([field, guide.includes(`\`${field}\``)]).toEqual([field, true]);
  });
});

describe("what is left out of a text", () => {
  const facts = { home: "/home/alice", names: ["alice", "nas-of-alice"] };
  test.each([
    ["library /usr/lib/fastsync/libfsy.so is loaded", "library /usr/lib/fastsync/libfsy.so is loaded"],
    ["cannot open /home/alice/Taxes/2025", "cannot open ~/(left out)"],
    ["cannot open '/srv/clients/acme/x'", "cannot open '/srv/(left out)'"],
    ["cannot open /data", "cannot open /(left out)"],
    ["/etc/fastsync/config.toml: is wrong", "/etc/fastsync/config.toml: is wrong"],
    ["see https://bob:hunter2@example.org/x?token=abc now", "see https://(left out) now"],
    ["me@nas.lan:/x is none", "(left out) is none"],
    ["nothing listens at 192.168.7.13:9040", "nothing listens at (address):9040"],
    ["nothing listens at [2001:db8::77]:9040", "nothing listens at (address):9040"],
    ["the host NAS-of-alice is away", "the host (name) is away"],
    ["permission denied to user bob, who runs the daemon", "permission denied to user (name), who runs the daemon"],
    ["2030-01-02T03:04:05Z", "2030-01-02T03:04:05Z"],
    ["Linux 6.12.4, 1 Gbit/s up to 16 ms", "Linux 6.12.4, 1 Gbit/s up to 16 ms"],
    ['sysctl -w net.ipv4.tcp_rmem="4096 131072 67108864"', 'sysctl -w net.ipv4.tcp_rmem="4096 131072 67108864"'],
  ])("%s", (text, left) => expect(redacted(text, facts)).toBe(left));
  test("values: numbers, switches and words of the program stay", () => {
    expect(redactedValue(true, [])).toBe("true");
    expect(redactedValue(["10M"], [])).toBe("10M");
    expect(redactedValue(["50%"], [])).toBe("50%");
    expect(redactedValue(["clone,mmap"], ["clone", "mmap"])).toBe("clone mmap".replace(" ", ","));
    expect(redactedValue(["end"], ["none", "end"])).toBe("end");
    expect(redactedValue(["hunter2"], ["none", "end"])).toBe("(a text)");
    expect(redactedValue(["*.secret", "x"], [])).toBe("(2 texts)");
  });
});

/** What must not appear, each where it could come from. */
const SECRETS = {
  home: "homeofsecrets",
  user: "verypersonal",
  password: "hunter2hunter2",
  token: "tok-9f8e7d6c",
  host: "private-nas.example.org",
  pattern: "secretproject",
  variable: "variablevalue77",
  place: "placewithsecret",
  profile: "profileofsomebody",
} as const;

describe("a report", () => {
  test.each([["text"], ["JSON"]])(
    "as %s holds no token, password, value of a variable, or name of a person",
    async (form) => {
      using dir = tempDir();
      const home = dir.join(`${SECRETS.home}/${SECRETS.user}`);
      mkdirSync(`${home}/.config/fastsync`, { recursive: true });
      mkdirSync(dir.join(SECRETS.place));
      writeFileSync(
        `${home}/.config/fastsync/config.toml`,
        `[global]
workers = 3
fsync = "end"
exclude = ["${SECRETS.pattern}", "b"]
backup_dir = "${SECRETS.token}"
[profiles.${SECRETS.profile}]
bwlimit = "10M"
[remotes.nas]
endpoint = "${SECRETS.host}:/media/${SECRETS.token}"
`,
        { mode: 0o644 },
      );
      const env = {
        ...{
          HOME: home,
          XDG_CONFIG_HOME: undefined,
          FASTSYNC_CONFIG: undefined,
          USER: SECRETS.user,
          LOGNAME: SECRETS.user,
        },
        ...{
          FASTSYNC_SUFFIX: SECRETS.variable,
          FASTSYNC_CHOWN: SECRETS.variable,
          AWS_SECRET_ACCESS_KEY: SECRETS.token,
        },
        ...{ FASTSYNC_PROFILE: SECRETS.profile },
      };
      const places = [
        dir.join(SECRETS.place),
        `https://${SECRETS.user}:${SECRETS.password}@${SECRETS.host}/x`,
        `${SECRETS.host}:/m/`,
      ];
      const words = ["diagnostics", ...places, ...(form === "JSON" ? ["--json"] : [])];
      const { stdout, stderr, exitCode } = await fastsync(words, { env });
      expect([exitCode, stderr]).toEqual([0, ""]);
      for (const [what, secret] of Object.entries(SECRETS))
        expect([what, (stdout + stderr).includes(secret)]).toEqual([what, false]);
      // What helps is there.
      for (const fact of ["workers", "fsync", "end", "10M", "FASTSYNC_SUFFIX", Bun.version, "place 1", "place 3"])
        expect(stdout).toContain(fact);
      expect(stdout).not.toContain("AWS_");
    },
  );

  test("tells how the last runs failed, twenty of them, by kind and without a name", async () => {
    using dir = tempDir();
    const env = { XDG_STATE_HOME: dir.path };
    mkdirSync(dir.join("source"));
    mkdirSync(dir.join(`target/${SECRETS.pattern}/inside`), { recursive: true });
    writeFileSync(dir.join(`source/${SECRETS.pattern}`), "a file where a directory stands");
    const words = ["copy", dir.join("source/"), dir.join("target")];
    expect((await fastsync(words, { env })).exitCode).toBe(23);
    expect((await fastsync([...words, "--no-history"], { env })).exitCode).toBe(23);
    const { stdout } = await fastsync(["diagnostics"], { env });
    expect(stdout).toMatch(
      /\nRecent failures:\n {2}[\d-]+ [\d:]+ {2}copy {2}exit 23 partial: [a-z_]+ 1 {2}\([\d.]+\)\n\n/,
    );
    expect(stdout).not.toContain(SECRETS.pattern);
    const file = dir.join("fastsync/failures.ndjson");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    // Whatever else stands in it is not shown.
    const [line = ""] = readFileSync(file, "utf8").split("\n");
    writeFileSync(
      file,
      `${`${line}\n`.repeat(30)}{"verb":"${SECRETS.token}"}\n${line.replace("copy", "\\u001b[2J")}\n`,
    );
    const [report] = jsonLines((await fastsync(["diagnostics", "--json"], { env })).stdout);
    expect(report!["recent_failures"]).toHaveLength(20);
    expect(JSON.stringify(report)).not.toContain(SECRETS.token);
    expect((await fastsync(["profile", "clear"], { env })).exitCode).toBe(0);
    expect(existsSync(file)).toBe(false);
  });

  test("of a configuration that is wrong says what, without its texts", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("c.toml"), `[global]\nworkrs = 3\nfsync = "${SECRETS.token}"\n`, { mode: 0o644 });
    const { stdout, exitCode } = await fastsync(["diagnostics", "--config", dir.join("c.toml")]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("workrs");
    expect(stdout).not.toContain(SECRETS.token);
    expect(stdout).not.toContain(dir.path);
  });
});
