import { describe, expect, test } from "bun:test";
import { type CapabilitiesReport, capabilitiesJson, capabilitiesText } from "../../src/cli/text/capabilities-text.ts";
import { filesystemName } from "../../src/fs/filesystems.ts";
import { jsonLines, run } from "./processes.ts";

const REPORT: CapabilitiesReport = {
  backend: "native",
  reason: "native library /lib/libfsy.so",
  candidates: [
    { place: "/bin/libfsy.so", outcome: "no such file" },
    { place: "/lib/libfsy.so", outcome: "loaded" },
  ],
  openFiles: 1024,
  workers: 4,
  capabilities: {
    xattrs: true,
    acls: true,
    specials: true,
    hardLinks: true,
    sparse: false,
    confinesLinks: false,
    timeGranularityNs: 1,
    methods: ["clone", "read_write"],
  },
  zeroCopyDisabledBy: undefined,
  pair: {
    source: "a",
    target: "b",
    probe: {
      sameFilesystem: false,
      methods: { clone: -18, copy_file_range: -38, sendfile: 0, mmap: 1, read_write: 0 },
      tmpfile: 0,
      xattrs: 0,
      acls: -95,
      hardLinks: 0,
      symlinks: 0,
      specials: -1,
      sparse: 0,
      caseInsensitive: false,
      timeGranularityNs: 1,
      targetFilesystemType: 0x5846_5342,
      sourceFilesystemType: 0x9123_683e,
      targetDev: (8 << 20) | 1,
      sourceDev: (0 << 20) | 42,
    },
  },
};

test("the table", () => {
  expect(capabilitiesText(REPORT, Number.POSITIVE_INFINITY)).toBe(
    `Backend           native: native library /lib/libfsy.so
                  /bin/libfsy.so: no such file
                  /lib/libfsy.so: loaded
Workers           4 threads
Methods           clone, read_write
Zero-copy         on
Can keep          extended attributes, ACLs, hard links, special files (not: holes)
Open files        at most 1024

Source            a (btrfs, device 0:42)
Target            b (xfs, device 8:1)
Same filesystem   no
clone             no: on another filesystem (EXDEV)
copy_file_range   no: not supported by this kernel (ENOSYS)
sendfile          works
mmap              not tried
read_write        works
O_TMPFILE         works
xattrs            works
ACLs              no: not supported by the filesystem (EOPNOTSUPP)
hard links        works
symbolic links    works
special files     no: permission denied (EPERM)
holes             works
Letter case       kept apart
Time steps        1 ns
`,
  );
});

test("zero-copy", () => {
  const line = (report: CapabilitiesReport) => /^Zero-copy +(.*)$/m.exec(capabilitiesText(report, 80))![1];
  expect(line({ ...REPORT, zeroCopyDisabledBy: "ORBIT_NO_ZERO_COPY" })).toBe("off: ORBIT_NO_ZERO_COPY is set");
  const capabilities = { ...REPORT.capabilities, methods: ["read_write"] as const };
  const portable = { ...REPORT, backend: "portable" as const, capabilities };
  expect(line(portable)).toBe("off: the portable backend only reads and writes");
  expect(capabilitiesJson(portable)["zero_copy"]).toEqual({ enabled: false, disabled_by: null });
});

test("as JSON", () => {
  expect(capabilitiesJson(REPORT)).toMatchObject({
    schema: 1,
    backend: "native",
    workers: 4,
    zero_copy: { enabled: true, disabled_by: null },
    pair: {
      source: { path: "a", filesystem: "btrfs" },
      target: { path: "b", filesystem: "xfs" },
      same_filesystem: false,
      methods: {
        clone: { works: false, errno: "EXDEV" },
        mmap: { works: null, errno: null },
        sendfile: { works: true, errno: null },
      },
    },
  });
});

test("filesystems by name", () => {
  expect(filesystemName(0xef53)).toBe("ext2/3/4");
  expect(filesystemName(0x9123_683e | 0)).toBe("btrfs");
  expect(filesystemName(0x1234)).toBe("type 0x1234");
  expect(filesystemName(0)).toBe("unknown");
});

describe("the commands", () => {
  test("capabilities, alone and between two directories", async () => {
    const alone = await run(["capabilities"]);
    expect(alone.code).toBe(0);
    expect(alone.out).toMatch(/^Backend {11}(native|portable): /);
    const pair = await run(["capabilities", "--json", import.meta.dir, "/tmp/does/not/exist"]);
    expect(pair.code).toBe(0);
    expect(jsonLines(pair.out)[0]!["pair"]).toMatchObject({ target: { path: "/tmp" } });
  });
  test("FASTSYNC_NATIVE=off and FASTSYNC_NO_ZERO_COPY=1 show", async () => {
    const env = { FASTSYNC_NATIVE: "off", FASTSYNC_NO_ZERO_COPY: "1" };
    const { out } = await run(["capabilities", "--json"], { env });
    expect(jsonLines(out)[0]).toMatchObject({
      backend: "portable",
      backend_reason: "FASTSYNC_NATIVE=off",
      zero_copy: { enabled: false, disabled_by: "FASTSYNC_NO_ZERO_COPY" },
    });
  });
  test("a source that is not there", async () => {
    const { code, err, out } = await run(["capabilities", "--json", "/no/such/place", "/tmp"]);
    expect(code).toBe(3);
    expect(err).toBe("fastsync capabilities: '/no/such/place' cannot be opened: no such file or directory (exit 3)\n");
    expect(jsonLines(out).at(-1)).toMatchObject({ type: "summary", exit_code: 3 });
  });
  test("version", async () => {
    for (const words of [["version"], ["--version"], ["copy", "--version"]]) {
      const { code, out } = await run(words);
      expect(out).toMatch(/^fastsync \d+\.\d+\.\d+ \(bun \d+\.\d+\.\d+, (native|portable): .*\)\n$/);
      expect(code).toBe(0);
    }
    expect(jsonLines((await run(["version", "--json"])).out)[0]).toMatchObject({ schema: 1, bun: Bun.version });
  });
});
