import { describe, expect, test } from "bun:test";
import { DaemonLog, type LogFields } from "./log.ts";

const AT = new Date("2024-05-06T07:08:09.010Z");

function logOf(format: "text" | "json", write?: (bytes: Uint8Array) => number) {
  const lines: string[] = [];
  const keep = (bytes: Uint8Array): number => {
    lines.push(Buffer.from(bytes).toString());
    return bytes.length;
  };
  return { log: new DaemonLog(format, write ?? keep, () => AT), lines };
}

const SESSION = { peer: "10.0.0.5:4711", session: "s1", module: "photos", role: "target", verb: "mirror" } as const;
const END = { ...SESSION, files: 3, bytes: 4096, deleted: 1, failed: 0, exitReason: "ok", durationMs: 12.4 };

test("text", () => {
  const { log, lines } = logOf("text");
  log.sessionStart({ ...SESSION, path: Buffer.from("a b") });
  log.sessionEnd(END);
  log.sessionEnd({ ...END, module: undefined, failed: 2, exitReason: "partial" });
  log.refused({ peer: "10.0.0.6", reason: "denied_by_list", module: "photos" });
  log.warning('a "quoted" remark', { count: 2 });
  log.event("info", "started", { listen: ["127.0.0.1:9040", "[::1]:9040"] });
  const at = "2024-05-06T07:08:09.010Z";
  const session = "peer=10.0.0.5:4711 session=s1";
  expect(lines).toEqual([
    `${at} info session_start ${session} module=photos role=target verb=mirror path="a b"\n`,
    `${at} info session_end ${session} module=photos role=target verb=mirror files=3 bytes=4096 deleted=1 failed=0 exit_reason=ok duration_ms=12\n`,
    `${at} warning session_end ${session} role=target verb=mirror files=3 bytes=4096 deleted=1 failed=2 exit_reason=partial duration_ms=12\n`,
    `${at} warning refused peer=10.0.0.6 reason=denied_by_list module=photos\n`,
    `${at} warning warning message="a \\"quoted\\" remark" count=2\n`,
    `${at} info started listen="127.0.0.1:9040 [::1]:9040"\n`,
  ]);
});

test("JSON", () => {
  const { log, lines } = logOf("json");
  log.sessionEnd(END);
  expect(JSON.parse(lines[0]!)).toEqual({
    time: "2024-05-06T07:08:09.010Z",
    level: "info",
    event: "session_end",
    ...{ peer: "10.0.0.5:4711", session: "s1", module: "photos", role: "target", verb: "mirror" },
    ...{ files: 3, bytes: 4096, deleted: 1, failed: 0, exit_reason: "ok", duration_ms: 12 },
  });
});

/* Everything that ends a line, hides text or commands a terminal. */
const HOSTILE = "x\ny\r\x1b[2J\x00\x7f\u0085\u009b31m\u2028\u202e\u2066z";

describe.each(["text", "json"] as const)("S33 hostile values in %s", (format) => {
  const line = (fields: LogFields): string => {
    const { log, lines } = logOf(format);
    log.event("info", "session_start", fields);
    return lines.join("");
  };
  test.each([
    ["a string", HOSTILE],
    ["bytes", Buffer.from(HOSTILE)],
    ["bytes that are not UTF-8", Buffer.concat([Buffer.from(HOSTILE), Buffer.from([0xff, 0x9b, 0x0a])])],
    ["a list", [HOSTILE, HOSTILE]],
  ])("%s stays in its line", (_, value) => {
    const text = line({ module: value });
    expect(text.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
    expect(text.endsWith("\n")).toBe(true);
  });
});

test("JSON loses nothing", () => {
  const { log, lines } = logOf("json");
  log.event("info", "session_start", { module: HOSTILE, path: Buffer.from([0x61, 0xff]) });
  expect(JSON.parse(lines[0]!)).toMatchObject({ module: HOSTILE, path: "a\ufffd", path_b64: "Yf8=" });
});

describe("a reader that", () => {
  const failing = (code: string) => () => {
    throw Object.assign(new Error(code), { code });
  };
  test("is gone ends nothing", () => {
    const { log } = logOf("text", failing("EPIPE"));
    log.warning("one");
    log.warning("two");
  });
  test("S25 is slow loses lines, and is told how many", () => {
    let blocked = true;
    const written: string[] = [];
    const { log } = logOf("text", (bytes) => {
      if (blocked) failing("EAGAIN")();
      written.push(Buffer.from(bytes).toString());
      return bytes.length;
    });
    log.warning("one");
    log.warning("two");
    blocked = false;
    log.warning("three");
    expect(written.map((line) => line.split(" warning warning ")[1])).toEqual([
      'message="lines of this log were lost: its reader is slow" lost=2\n',
      "message=three\n",
    ]);
  });
  test("takes a few bytes at a time gets the whole line", () => {
    let text = "";
    const { log } = logOf("text", (bytes) => {
      text += Buffer.from(bytes.subarray(0, 3)).toString();
      return Math.min(3, bytes.length);
    });
    log.warning("complete");
    expect(text).toBe("2024-05-06T07:08:09.010Z warning warning message=complete\n");
  });
});
