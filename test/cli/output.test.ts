import { describe, expect, test } from "bun:test";
import { allowsColour, hasLiveLine, Output, type RawWrite } from "../../src/cli/report/output.ts";

const PLAIN = { isTerminal: false, colour: false };

function failing(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe("Output", () => {
  test("gathers lines to chunks and keeps their order", () => {
    const writes: string[] = [];
    const output = new Output((bytes) => {
      writes.push(Buffer.from(bytes).toString());
      return bytes.length;
    }, PLAIN);
    const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index} é`);
    for (const line of lines) output.line(line);
    output.flush();
    output.flush();
    expect(writes.join("")).toBe(`${lines.join("\n")}\n`);
    expect(writes.length).toBeLessThan(8);
  });
  test("finishes short writes and waits for a slow reader", () => {
    let received = "";
    let call = 0;
    const write: RawWrite = (bytes) => {
      call++;
      if (call % 3 === 1) throw failing("EAGAIN");
      const part = bytes.subarray(0, 7);
      received += Buffer.from(part).toString("latin1");
      return part.length;
    };
    const output = new Output(write, PLAIN);
    output.write("x".repeat(100));
    output.flush();
    expect(received).toBe("x".repeat(100));
    expect(output.failure).toBeUndefined();
  });
  test("drops the rest when the reader is gone", () => {
    let calls = 0;
    const output = new Output(() => {
      calls++;
      throw failing("EPIPE");
    }, PLAIN);
    output.line("a");
    output.flush();
    output.line("b");
    output.flush();
    expect(calls).toBe(1);
    expect(output.failure).toBeUndefined();
  });
  test("keeps any other failure", () => {
    const output = new Output(() => {
      throw failing("ENOSPC");
    }, PLAIN);
    output.line("a");
    output.flush();
    expect(output.failure?.message).toBe("ENOSPC");
  });
});

test("colour", () => {
  const onTerminal = (env: Record<string, string>): boolean => allowsColour({ TERM: "xterm", ...env }, true);
  const elsewhere = (env: Record<string, string>): boolean => allowsColour({ TERM: "xterm", ...env }, false);
  expect([onTerminal({}), elsewhere({})]).toEqual([true, false]);
  expect([onTerminal({ TERM: "dumb" }), onTerminal({ NO_COLOR: "1" }), onTerminal({ NO_COLOR: "" })]).toEqual([
    false,
    false,
    true,
  ]);
  expect([onTerminal({ CLICOLOR: "0" }), onTerminal({ CLICOLOR: "1" }), elsewhere({ CLICOLOR: "1" })]).toEqual([
    false,
    true,
    false,
  ]);
  for (const name of ["FORCE_COLOR", "CLICOLOR_FORCE"]) {
    expect([elsewhere({ [name]: "1" }), elsewhere({ [name]: "0" }), elsewhere({ [name]: "" })]).toEqual([
      true,
      false,
      false,
    ]);
    expect([elsewhere({ [name]: "1", NO_COLOR: "1" }), onTerminal({ [name]: "1", TERM: "dumb" })]).toEqual([
      false,
      true,
    ]);
  }
  expect(onTerminal({ FORCE_COLOR: "0" })).toBe(false);
});

test("a live line only where it can be written over", () => {
  expect([hasLiveLine({ TERM: "xterm" }, true), hasLiveLine({ TERM: "xterm" }, false)]).toEqual([true, false]);
  expect(hasLiveLine({ TERM: "dumb" }, true)).toBe(false);
});
