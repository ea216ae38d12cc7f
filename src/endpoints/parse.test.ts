import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fuzzing } from "../../test/support/fuzzing.ts";
import { bytesOf } from "../core/paths.ts";
import { type DaemonEndpoint, type Endpoint, EndpointError, formatEndpoint, parseEndpoint } from "./parse.ts";

const nothing = { exists: () => false, drives: false };
const parse = (text: string): Endpoint => parseEndpoint(Buffer.from(text, "latin1"), nothing);
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

describe("local", () => {
  test.each([
    "a",
    ".",
    "..",
    "/",
    "/a/b",
    "./host:/x",
    "dir/with:colon",
    "/mnt/host:/x",
    "-",
    "C:\\x",
    "c:\\Users\\me",
    "na\xff me",
    "../up",
    "@home",
    "[brackets]",
  ])("%s", (text) => {
    const endpoint = parse(text);
    expect([endpoint.kind, latin1(endpoint.path)]).toEqual(["local", text]);
  });
  test.each(["host:/module/x", "host:", "sftp://host/x", "fastsync://h/m", "user@host:x", "[::1]:/m/", "a:b"])(
    "%s, because it exists",
    (text) => {
      const endpoint = parseEndpoint(bytesOf(text), { exists: (path) => latin1(path) === text, drives: false });
      expect([endpoint.kind, latin1(endpoint.path)]).toEqual(["local", text]);
    },
  );
  test("a drive, where there are drives", () => {
    expect(parseEndpoint(bytesOf("C:/x"), { exists: () => false, drives: true }).kind).toBe("local");
    expect(parse("C:/x")).toMatchObject({ kind: "daemon", host: "C", module: "x" });
  });
});

type Expected = [word: string, host: string, port: number, module: string | undefined, path: string, contents: boolean];
const DAEMON: readonly Expected[] = [
  ["nas:/media/photos/", "nas", 9040, "media", "photos/", true],
  ["nas:/media/photos", "nas", 9040, "media", "photos", false],
  ["nas:/media", "nas", 9040, "media", "", false],
  ["nas:/media/", "nas", 9040, "media", "", true],
  ["nas:/media/.", "nas", 9040, "media", "", true],
  ["nas:/media//a///b", "nas", 9040, "media", "a/b", false],
  ["nas:/media/./a/./b/.", "nas", 9040, "media", "a/b/", true],
  ["nas:/media/..a/b..", "nas", 9040, "media", "..a/b..", false],
  ["nas:/me dia/%20", "nas", 9040, "me dia", "%20", false],
  ["nas:/media/na\xffme\n", "nas", 9040, "media", "na\xffme\n", false],
  ["nas:/media/a:b", "nas", 9040, "media", "a:b", false],
  ["nas:1234:/media/x", "nas", 1234, "media", "x", false],
  ["nas:1234:/1234", "nas", 1234, "1234", "", false],
  ["nas:/1234:/x", "nas", 9040, "1234:", "x", false],
  ["nas://srv/x", "nas", 9040, undefined, "srv/x", false],
  ["nas://", "nas", 9040, undefined, "", true],
  ["nas:///srv/", "nas", 9040, undefined, "srv/", true],
  ["nas:1234://srv", "nas", 1234, undefined, "srv", false],
  ["10.0.0.2:/m/", "10.0.0.2", 9040, "m", "", true],
  ["host.example.org.:/m", "host.example.org.", 9040, "m", "", false],
  ["[::1]:/m/", "::1", 9040, "m", "", true],
  ["[fe80::1%eth0]:1234:/m/x", "fe80::1%eth0", 1234, "m", "x", false],
  ["[2001:db8::5]://x", "2001:db8::5", 9040, undefined, "x", false],
  ["fastsync://nas/media/x", "nas", 9040, "media", "x", false],
  ["FastSync://nas:1234/media/", "nas", 1234, "media", "", true],
  ["fastsync://nas:/media", "nas", 9040, "media", "", false],
  ["fastsync://[::1]:1234/m", "::1", 1234, "m", "", false],
  ["fastsync://[fe80::1%25eth0]/m", "fe80::1%eth0", 9040, "m", "", false],
  ["fastsync://[fe80::1%eth0]/m", "fe80::1%eth0", 9040, "m", "", false],
  ["fastsync://nas/my%20media/a%FFb%3f", "nas", 9040, "my media", "a\xffb?", false],
  ["fastsync://nas//srv/x", "nas", 9040, undefined, "srv/x", false],
  ["fastsync://nas//", "nas", 9040, undefined, "", true],
];

describe("behind a daemon", () => {
  test.each(DAEMON)("%s", (word, host, port, module, path, contents) => {
    const endpoint = parse(word) as DaemonEndpoint;
    const expected = { kind: "daemon" as const, host, port, module, path, contents };
    expect({ ...endpoint, path: latin1(endpoint.path) }).toEqual(expected);
  });
  test.each(DAEMON)("%s, written and read again", (word) => {
    const endpoint = parse(word) as DaemonEndpoint;
    expect(parse(latin1(formatEndpoint(endpoint)))).toEqual(endpoint);
  });
  test("a module beyond ASCII", () => {
    expect(parseEndpoint(bytesOf("nas:/größe/x"), nothing)).toMatchObject({ module: "größe" });
    expect(parseEndpoint(bytesOf("fastsync://nas/gr%C3%B6%C3%9Fe/x"), nothing)).toMatchObject({ module: "größe" });
  });
});

const REFUSED: readonly (readonly [word: string, message: string, way: string])[] = [
  ["a\0b", "'a\\000b' has a NUL byte", "HOST:/MODULE/PATH"],
  ["nas:/m/a/../b", "has '..' in it", "without it"],
  ["nas://..", "has '..' in it", "without it"],
  ["fastsync://nas/m/%2e%2e/x", "has '..' in it", "without it"],
  ["nas:/..", "no module can be named '..'", "HOST:/MODULE/PATH"],
  ["nas:/./x", "no module can be named '.'", "HOST:/MODULE/PATH"],
  ["nas:/a\x1bb/x", "no module can be named 'a\\033b'", "HOST:/MODULE/PATH"],
  ["nas:/a\xffb/x", "no module can be named 'a\\377b'", "HOST:/MODULE/PATH"],
  ["nas:/", "'nas:/' names no module", "nas://PATH"],
  ["[::1]:/", "'[::1]:/' names no module", "[::1]://PATH"],
  ["fastsync://nas", "names no module", "nas://PATH"],
  ["fastsync://nas/", "names no module", "nas://PATH"],
  ["nas:media/x", "is no place behind a daemon", "Write nas:/media/x. If it is a local path, write ./nas:media/x"],
  ["nas:", "is no place behind a daemon", "Write nas:/MODULE/"],
  ["nas::media/x", "is no place behind a daemon", "Write nas:/media/x"],
  ["nas:9040", "is no place behind a daemon", "Write nas:9040:/MODULE/"],
  ["nas:9040/media/x", "is no place behind a daemon", "Write nas:9040:/media/x"],
  ["nas:9040:media/x", "is no place behind a daemon", "Write nas:9040:/media/x"],
  ["nas:0:/media", "0 is no port", "1 to 65535"],
  ["nas:65536:/media", "65536 is no port", "1 to 65535"],
  ["fastsync://nas:99999/media", "99999 is no port", "1 to 65535"],
  [":/media", "has no host before its colon", "./:/media"],
  ["::1:/media", "has an IPv6 address without brackets", "Write [::1]:/media"],
  ["2001:db8::5:/m/", "has an IPv6 address without brackets", "Write [2001:db8::5]:/m/"],
  ["fastsync://::1/m", "has an IPv6 address without brackets", "Write fastsync://[::1]/m"],
  ["[nas]:/m", "'nas' is no IPv6 address", "Brackets"],
  ["[::1%]:/m", "is no IPv6 address", "Brackets"],
  ["[::1]x:/m", "is no place behind a daemon", "HOST:/MODULE/PATH"],
  ["[::1:/m", "is no place behind a daemon", "./[::1:/m"],
  ["my host:/m", "'my host' is no host name", "./my host:/m"],
  ["-nas:/m", "'-nas' is no host name", "./-nas:/m"],
  ["h\xf6st:/m", "is no host name", "xn--"],
  ["a..b:/m", "'a..b' is no host name", "./a..b:/m"],
  ["me@nas:photos", "names a user, and this build does not speak SSH", "HOST:/MODULE/PATH"],
  ["me@nas:/media/x", "names a user, and this build does not speak SSH", "For a daemon write nas:/media/x"],
  ["fastsync://me@nas/media", "names a user", "before the @"],
  ["sftp://nas/x", "cannot be reached: this build does not speak SFTP", "HOST:/MODULE/PATH"],
  ["S3://bucket/x", "this build does not speak S3", "HOST:/MODULE/PATH"],
  ["http://nas/x", "this build does not speak HTTP", "./http://nas/x"],
  ["https://nas/x", "this build does not speak HTTP", "HOST:/MODULE/PATH"],
  ["rsync://nas/x", "does not speak rsync's protocol", "HOST:/MODULE/PATH"],
  ["file:///x", "is a URL of a local file", "the path itself"],
  ["fastsync://nas/m?x", "has a ? or #", "%3F"],
  ["fastsync://nas/m%2fx", "has %2f in it", "Leave it out"],
  ["fastsync://nas/m/a%00", "has %00 in it", "Leave it out"],
  ["fastsync://nas/m/100%", "has a % without two hexadecimal digits", "%25"],
  ["fastsync:///m", "has no host", "./fastsync:///m"],
  ["fastsync://nas:x/m", "is no place behind a daemon", "HOST:/MODULE/PATH"],
];

function refusal(word: Uint8Array): EndpointError | undefined {
  try {
    parseEndpoint(word, nothing);
    return undefined;
  } catch (error) {
    if (error instanceof EndpointError) return error;
    throw error;
  }
}

describe("refused", () => {
  test.each(REFUSED)("%p", (word, message, way) => {
    const error = refusal(Buffer.from(word, "latin1"));
    expect(error?.message).toContain(message);
    expect(error?.way).toContain(way);
  });
  test("whatever the bytes are, with nothing but EndpointError, and no path leads out", () => {
    const piece = fc.constantFrom("a", "nas", ":", "/", "//", "..", ".", "[", "]", "::1", "%", "%2e", "@", "9", "\xff");
    const word = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(""));
    const url = word.map((rest) => `fastsync://nas/m${rest}`);
    const short = word.map((rest) => `nas:/${rest}`);
    let daemons = 0;
    fc.assert(
      fc.property(fc.oneof(word, url, short), (text) => {
        const bytes = Buffer.from(text, "latin1");
        if (refusal(bytes) !== undefined) return;
        const endpoint = parseEndpoint(bytes, nothing);
        if (endpoint.kind === "local") return;
        daemons++;
        const path = latin1(endpoint.path);
        expect(path.startsWith("/") || path.split("/").includes("..") || path.includes("\0")).toBe(false);
        expect(endpoint.host).not.toBe("");
      }),
      { numRuns: 5000 },
    );
    expect(daemons).toBeGreaterThan(500);
  });
  /** Hosts, ports, zones and escapes, with what would break a line, a header or a terminal. */
  const odd = fc.constantFrom(
    ...["\r\n", "\n", "\0", "\x1b[2J", "\x9b", " ", "\t", "%0d%0a", "%00", "%2f", "%", "%25eth0", "?", "#", "\\"],
    ...[
      "fe80::1%eth0",
      "[fe80::1%25en0]",
      "[::ffff:1.2.3.4]",
      "127.0.0.1",
      "0",
      "65535",
      "65536",
      "9".repeat(30),
      "-h",
      "a..b",
    ],
    ...[
      "nas",
      "a",
      "m",
      "x".repeat(255),
      "\xc3\xa9",
      "\xff",
      "..",
      ".",
      "/",
      "//",
      ":",
      "::",
      "[",
      "]",
      "@",
      "fastsync://",
    ],
  );
  const line = fc
    .array(fc.oneof(odd, fc.uint8Array({ maxLength: 3 }).map(latin1)), { maxLength: 12 })
    .map((pieces) => pieces.join(""));
  test("S33 no control character reaches a host, a module or a message, and a place can be written again", () => {
    let daemons = 0;
    fc.assert(
      fc.property(
        fc.oneof(
          line,
          line.map((rest) => `nas:/m/${rest}`),
          line.map((rest) => `fastsync://[::1]:9/m/${rest}`),
          line.map((host) => `${host}:/m/x`),
        ),
        (text) => {
          const word = Buffer.from(text, "latin1");
          const error = refusal(word);
          if (error !== undefined) {
            expect(error.message + error.way).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
            return;
          }
          const endpoint = parseEndpoint(word, nothing);
          if (endpoint.kind === "local") {
            expect(latin1(endpoint.path)).toBe(text);
            return;
          }
          daemons++;
          expect(endpoint.host).toMatch(/^[A-Za-z0-9_.:%~-]+$/);
          expect(endpoint.host).not.toMatch(/^-/);
          expect(endpoint.port >= 1 && endpoint.port <= 65_535).toBe(true);
          expect(endpoint.module ?? "").not.toMatch(/[\u0000-\u001f\u007f-\u009f/]/);
          expect(latin1(endpoint.path)).not.toMatch(/^\/|\0|(^|\/)\.{0,2}\/(?!$)|\/\//);
          expect(parseEndpoint(formatEndpoint(endpoint), nothing)).toEqual(endpoint);
        },
      ),
      fuzzing(8000),
    );
    expect(daemons).toBeGreaterThan(500);
  });
});
