/**
 * Wrong command lines: exit 1, nothing on stdout, and a message that names the way out. The long list of them is
 * answered in this process, what is about the process itself by one of its own.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expectLookLines } from "../admin/support/look-schema.ts";
import { answered, jsonLines, run } from "./processes.ts";

const directory = mkdtempSync(join(tmpdir(), "fastsync-cli-"));
afterAll(() => rmSync(directory, { recursive: true }));
mkdirSync(join(directory, "A"));
writeFileSync(join(directory, "rules"), "*.o\n");

const CASES: readonly (readonly [line: string, message: string])[] = [
  // verbs
  ["scp A B", "fastsync: unknown verb 'scp'; did you mean cp?"],
  ["rsync A B", "fastsync: unknown verb 'rsync'; did you mean sync?"],
  ["push A B", "fastsync: unknown verb 'push'; did you mean copy?"],
  ["dl https://host/file", "fastsync: there is no verb dl yet: this build does not speak HTTP\n  fastsync copy takes"],
  ["miror A B", "fastsync: unknown verb 'miror'; did you mean mirror?"],
  ["mrirro A B", "fastsync: unknown verb 'mrirro'; did you mean mirror?"],
  ["A B", "fastsync: unknown verb 'A'\n  Put a verb before the places"],
  ["frobnicate", "fastsync: unknown verb 'frobnicate'\n  The verbs are copy, mirror"],
  ["--json copy A B", "fastsync: the verb comes first, before '--json'\n  Write: fastsync copy --json"],
  ["-n mirror A B", "the verb comes first, before '-n'\n  Write: fastsync mirror -n"],
  ["help frob", "fastsync help: there is no verb 'frob'"],
  ["help miror", "fastsync help: there is no verb 'miror'; did you mean mirror?"],
  // unknown and misspelled flags
  ["copy --chekcsum A B", "fastsync copy: unknown flag '--chekcsum'; did you mean --checksum?"],
  ["copy --dryrun A B", "unknown flag '--dryrun'; did you mean --dry-run?"],
  ["copy --excldue=x A B", "unknown flag '--excldue'; did you mean --exclude?"],
  ["mirror --delete-exluded A B", "unknown flag '--delete-exluded'; did you mean --delete-excluded?"],
  ["copy --frobnicate-all A B", "unknown flag '--frobnicate-all'\n  A path that begins with -"],
  ["copy -k A B", "unknown flag '-k'"],
  ["copy -nk A B", "unknown flag '-k' (in '-nk')"],
  ["copy -verbose A B", "unknown flag '-verbose'; did you mean --verbose?"],
  // flags of other verbs
  ["copy --delete-excluded A B", "--delete-excluded belongs to mirror, sync and explain; copy has no use for it"],
  ["move --max-delete 3 A B", "--max-delete belongs to mirror, sync and explain; move has no use for it"],
  ["check --dry-run A B", "--dry-run belongs to copy, mirror, move, cp, sync and rm; check has no use for it"],
  ["check -n A B", "-n (--dry-run) belongs to copy, mirror, move, cp, sync and rm; check has no use for it"],
  [
    "version --checksum",
    "--checksum belongs to copy, mirror, move, check, cp, sync and explain; version has no use for it",
  ],
  // flags of other tools
  ["copy -a A B", "-a is the default here, with hard links"],
  ["copy -av A B", "-a (in '-av') is the default here"],
  ["copy -r A B", "-r is the default here"],
  ["copy --recursive A B", "--recursive is the default here"],
  ["copy --archive A B", "--archive is the default here"],
  ["copy --delete A B", "--delete is not a flag here; use the verb mirror, or sync --delete"],
  ["mirror --delete A B", "--delete is what mirror does, after everything arrived; leave it out"],
  ["sync --del A B", "--del is called --delete here, which deletes after everything arrived"],
  ["sync --delete-after A B", "--delete-after is called --delete here"],
  ["explain --delete A B", "--delete is told anyway: what a mirror would delete"],
  [
    "copy -avzP A B",
    "-a, -z and -P are not written here\n  -a is the default here, with hard links, ACLs and extended attributes; leave it out\n  -z is not here: content travels as it is; leave it out\n  -P is not here; progress is -p",
  ],
  ["copy -a --compress -n A B", "-a and --compress are not written here\n  -a is the default"],
  ["copy -a --archive=x A", "-a and --archive are not written here"],
  ["copy -e9 A B", "-e (in '-e9') is not here: other machines are reached"],
  // flags of cp
  ["cp -t B A", "-t is not here: TARGET is written last, behind its sources"],
  ["cp -Rt B A", "-t (in '-Rt') is not here: TARGET is written last"],
  ["cp --target-directory=B A", "--target-directory is not here: TARGET is written last"],
  ["cp -T A B", "-T is not here: TARGET is a name of its own when it does not exist"],
  ["cp -f A B", "-f is the default here: what is in the way is replaced"],
  ["cp -d A B", "-d is the default here: links are copied as links"],
  ["cp -a A B", "-a is -R here (--recursive); attributes are kept without a flag"],
  ["cp -s A B", "-s is not here: fastsync copies and makes no links instead"],
  ["cp --interactive A B", "--interactive is not here; --ignore-existing replaces nothing"],
  ["cp -z A B", "-z is not here: content travels as it is"],
  // what find(1) and rm(1) have
  ["find -name x", "unknown flag '-name'; did you mean --name?\n  Flags have two dashes here"],
  ["find -newer 2d", "unknown flag '-newer'; did you mean --newer?"],
  ["find -size +1M", "unknown flag '-size'; did you mean --size?"],
  ["find -iname x", "-iname is not here; write a pattern that has both"],
  ["find -delete", "-delete is not here: find removes nothing; fastsync rm does"],
  ["find A -maxdepth 2", "-maxdepth is called --max-depth"],
  ["rm -rf A", "-f (in '-rf') is not here; --yes (-y) answers the question"],
  ["rm -f A", "-f is not here; --yes (-y) answers the question"],
  ["rm --force A", "--force is not here; --yes answers the question"],
  // values that were meant for places
  ["copy --retry A B", "--retry takes a number, not 'A'"],
  ["mirror --workers A B", "--workers takes a number, not 'A'"],
  ["sync --delete --max-delete A B", "--max-delete takes a number or a percentage, not 'A'"],
  ["copy --max-size A B", "--max-size takes a size such as 4M, not 'A'"],
  ["find --older A", "--older takes an age such as 7d, or a date, not 'A'"],
  ["cp --preset A B", '--preset: there is no preset "A" (there are lan, wan'],
  [
    "copy --preset wann A B",
    '--preset: there is no preset "wann"; did you mean wan?\n  fastsync presets shows what each turns on.',
  ],
  // explain before the line of a run
  ["explain -n A B", "explain has no use for it\n  Before the line of a run it is taken: fastsync explain mirror ..."],
  ["explain mirror --chekcsum A B", "unknown flag '--chekcsum'; did you mean --checksum?"],
  [
    "explain sync --max-delete 5 A B",
    "fastsync explain sync: --max-delete needs --delete\n  See: fastsync sync --help",
  ],
  ["explain mirror A", "TARGET is missing after 'A'\n  Usage: fastsync mirror"],
  ["explain --max-size 1M mirror A B", "'mirror' comes first, before its flags\n  Write: fastsync explain mirror ..."],
  ["-av A B", "the verb comes first, before '-av'\n  Write: fastsync copy -v ... (verbs: "],
  ["-a A B", "the verb comes first, before '-a'\n  Write: fastsync copy ... (verbs: "],
  ["-V", "fastsync: unknown flag '-V'; did you mean --version?"],
  ["cp --delete A B", "--delete is not a flag here"],
  ["sync --max-delete=3 A B", "--max-delete needs --delete"],
  ["copy --remove-source-files A B", "--remove-source-files is not a flag here; use the verb move"],
  ["copy -P A B", "-P is not here; progress is -p"],
  ["copy -z A B", "-z is not here"],
  ["copy --link-dest=x A B", "--link-dest is not here yet"],
  ["copy --perms --no-perms A B", "--no-perms and --perms contradict each other; leave one out"],
  ["copy --bwlimit=1M --no-bwlimit A B", "--bwlimit and --no-bwlimit contradict each other; leave one out"],
  ["mirror --no-exclude A B", "unknown flag '--no-exclude'"],
  // the help stands alone: a job that was rsync -avh must not end well with a text
  [
    "mirror -vh -y A B",
    "fastsync mirror: -h (in '-vh') is the help, and stands alone\n  Sizes are shown in units anyway",
  ],
  ["mirror -y A B -h", "fastsync mirror: -h is the help, and stands alone"],
  ["du -sh A", "fastsync du: -h (in '-sh') is the help, and stands alone"],
  ["df -h A", "fastsync df: -h is the help, and stands alone"],
  [
    "copy -avh A B",
    "-a and -h are not written here\n  -a is the default here, with hard links, ACLs and extended attributes; leave it out\n  -h is the help, and stands alone; sizes are shown in units anyway: leave it out\n  Write -v in the place of -avh.\n",
  ],
  ["mirror -avzhP --delete A B", "-a, -z, -h, -P and --delete are not written here\n  -a is the default here"],
  ["copy -h --archive A B", "-h and --archive are not written here\n  -h is the help, and stands alone; sizes"],
  ["copy -hv A B", "-h (in '-hv') is the help, and stands alone\n  Sizes are shown in units anyway: leave -h out."],
  ["copy -av A B", "Write -v in the place of -av."],
  [
    "ls -ltrh A",
    "-t, -r and -h are not written here\n  -t is no flag of ls\n  -r belongs to cp, sync and rm\n  -h is the help, and stands alone; sizes",
  ],
  ["df -Tk", "-T and -k are not written here\n  -T is no flag of df\n  -k is no flag of df"],
  ["copy -help", "unknown flag '-help'; did you mean --help?"],
  // where the answer is what is printed
  [
    "ls -q A",
    "-q (--quiet) belongs to copy, mirror, move, check, cp, sync, rm and jobs; ls has no use for it\n  What ls prints is its answer",
  ],
  // verbs that look
  ["lst", "fastsync: unknown verb 'lst'; did you mean ls?"],
  ["remove A", "fastsync: unknown verb 'remove'; did you mean rm?"],
  ["rm", "fastsync rm: PLACE is missing\n  Usage: fastsync rm [flags] PLACE..."],
  ["list-modules", "fastsync list-modules: HOST is missing"],
  ["list-modules a/b", "fastsync list-modules: 'a/b' is no daemon\n  A daemon is written HOST, HOST:PORT"],
  ["ls -t A", "fastsync ls: unknown flag '-t'"],
  ["ls -r A", "fastsync ls: -r (--recursive) belongs to cp, sync and rm; ls has no use for it"],
  ["copy -l A B", "fastsync copy: -l is the default here"],
  ["ls --limit 0", "fastsync ls: --limit: '0' is not a whole number from 1 to"],
  ["ls --after a/b", "fastsync ls: --after: 'a/b' is not the name of an entry"],
  ["ls --after x A rules", "fastsync ls: --after goes on in one directory, and several are named"],
  ["find --type q", "fastsync find: --type: 'q' is no list of types\n  Types are f (file)"],
  ["find --size=big", "fastsync find: --size: 'big' is not a size"],
  ["find --size +4K --size -1K", "fastsync find: --size leaves no size that a file can have"],
  ["find --newer 2024-12-31 --older 2023-01-01", "fastsync find: --newer and --older leave nothing between them"],
  ["find --name=", "fastsync find: --name is empty"],
  ["du -s --max-depth 1", "fastsync du: --summarize and --max-depth contradict each other; leave one out"],
  ["df nas:", "fastsync df: nas: names no module\n  fastsync list-modules HOST"],
  ["rm --yes nas:9040:", "fastsync rm: nas:9040: names no module"],
  [
    "utils copy A B",
    "fastsync utils: 'copy' is none of the utilities\n  Write: fastsync copy ...\n  See: fastsync utils",
  ],
  ["jobs list --limit 0", "fastsync jobs: --limit: '0' is not a whole number from 1"],
  ["jobs watch --limit 3", "fastsync jobs: --limit is for list"],
  ["find --name a/b A", "fastsync find: --name: 'a/b' has a slash, which no name has\n  --path is matched"],
  [
    "explain check A B",
    "explain knows the runs of copy, mirror, move, cp and sync, not check\n  A source of that name",
  ],
  ["explain ls B", "explain knows the runs of copy, mirror, move, cp and sync, not ls"],
  [
    "capabilities A nas:",
    "'nas:' is a place on another machine, and here only local paths can be used\n  fastsync doctor",
  ],
  [
    "copy --log-file - A B",
    "--log-file is a file: on stdout --json writes the same\n  A file of that name is written ./-",
  ],
  // values
  ["copy --max-size", "--max-size needs a value: --max-size=SIZE"],
  ["copy --fsync", "--fsync needs a value: --fsync=none|file|end"],
  [
    "copy --max-size --checksum A B",
    "--max-size needs a value before --checksum\n  If --checksum is the value, write --max-size=--checksum",
  ],
  ["copy --exclude -n A B", "--exclude needs a value before -n\n  If -n is the value, write --exclude=-n"],
  ["copy --exclude -- A B", "--exclude needs a value before --"],
  ["copy --dry-run=yes A B", "--dry-run takes no value\n  Leave '=yes' out"],
  ["copy -n=yes A B", "-n (--dry-run) takes no value"],
  ["copy --max-size 1M --max-size 2M A B", "--max-size is given twice ('1M' and '2M'); keep one"],
  ["copy --verify --verify=readback A B", "--verify is given twice (no value and 'readback'); keep one"],
  ["copy --fsync=ende A B", "--fsync knows none, file and end, not 'ende'; did you mean end?"],
  ["copy --verify=hash A B", "--verify knows readback, not 'hash'"],
  ["copy --max-size=lots A B", "--max-size: 'lots' is not a size\n  Sizes look like 4096"],
  ["copy --min-size=-1 A B", "--min-size: '-1' is not a size"],
  ["copy --bwlimit=10X A B", "--bwlimit: '10X' is not a size"],
  ["copy --min-age=7 A B", "--min-age: '7' is not an age\n  Ages look like 90s"],
  ["copy --max-age=2024-02-31 A B", "--max-age: '2024-02-31' is not an age"],
  ["copy --modify-window=1h A B", "--modify-window: '1h' is not a span of time"],
  ["copy --workers=0 A B", "--workers: '0' is not a whole number from 1 to 256"],
  ["copy --workers=many A B", "--workers: 'many' is not a whole number"],
  ["copy --retry=-1 A B", "--retry: '-1' is not a whole number"],
  ["copy --retry=1 --wait=soon A B", "--wait: 'soon' is not a number of seconds"],
  ["mirror --max-delete=half A B", "--max-delete: 'half' is not a limit\n  Limits look like 25"],
  ["mirror --max-delete=101% A B", "--max-delete: '101%' is not a limit"],
  [
    "copy --copy-method=clone,reflnk A B",
    "--copy-method knows clone, copy_file_range, sendfile, mmap and read_write, not 'reflnk'",
  ],
  ["copy --copy-method=copy-file-range A B", "did you mean copy_file_range?"],
  ["copy --chown=nobody-of-this-name A B", "--chown: there is no user 'nobody-of-this-name' in /etc/passwd"],
  ["copy --chown=:no-such-group A B", "--chown: there is no group 'no-such-group' in /etc/group"],
  ["copy --chown=: A B", "--chown: ':' is not USER:GROUP"],
  ["copy --chown=a:b:c A B", "--chown: 'a:b:c' is not USER:GROUP"],
  ["copy --chown=4294967295 A B", "--chown: 4294967295 is too large for a user number"],
  ["copy --temp-dir= A B", "--temp-dir is empty"],
  ["copy --backup --suffix=a/b A B", "--suffix may not contain a slash"],
  ["copy --backup --suffix= A B", "--suffix is empty"],
  [`copy --backup --suffix=${"x".repeat(256)} A B`, "--suffix has 256 bytes, and no name has more than 255"],
  [`copy --temp-dir=${"x".repeat(4097)} A B`, "--temp-dir has 4097 bytes, and no path has more than 4096"],
  [`mirror --backup-dir=${"x".repeat(4097)} A B`, "--backup-dir has 4097 bytes"],
  ["copy --exclude-from=none A B", "--exclude-from: cannot read 'none': no such file"],
  ["copy --files-from=A A B", "--files-from: cannot read 'A': it is a directory"],
  ["copy --files-from=- --exclude-from=- A B", "--exclude-from and --files-from cannot both read standard input"],
  // contradictions
  ["copy -q -v A B", "--quiet and --verbose contradict each other; leave one out"],
  ["copy -qp A B", "--quiet and --progress contradict each other"],
  ["copy --progress --no-progress A B", "--progress and --no-progress contradict each other"],
  ["copy --size-only -c A B", "--checksum and --size-only contradict each other"],
  ["copy --size-only --ignore-times A B", "--size-only and --ignore-times contradict each other"],
  ["copy --inplace --temp-dir T A B", "--inplace and --temp-dir contradict each other"],
  ["copy --inplace --backup A B", "--inplace and --backup contradict each other"],
  ["copy --zero-copy --no-zero-copy A B", "--zero-copy and --no-zero-copy contradict each other"],
  ["copy --copy-method=clone --no-zero-copy A B", "--copy-method and --no-zero-copy contradict each other"],
  ["copy --chown=0 --no-owner A B", "--chown with a user and --no-owner contradict each other"],
  ["copy --chown=:0 --no-group A B", "--chown with a group and --no-group contradict each other"],
  ["copy --min-size=2M --max-size=1M A B", "--min-size is larger than --max-size"],
  ["copy --min-age=7d --max-age=1d A B", "--min-age is older than --max-age"],
  ["copy --suffix=.old A B", "--suffix needs --backup or --backup-dir"],
  ["copy --wait=3 A B", "--wait needs --retry"],
  ["copy -0 A B", "--from0 needs --files-from, --exclude-from or --include-from"],
  // words behind a verb
  ["profile shw", "profile knows show, enable, disable and clear, not 'shw'; did you mean show?"],
  ["config chek", "config knows show and check, not 'chek'; did you mean check?"],
  ["jobs lst", "jobs knows list, watch and cancel, not 'lst'; did you mean list?"],
  // places
  ["copy", "fastsync copy: SOURCE and TARGET are missing\n  Usage: fastsync copy [flags] SOURCE... TARGET"],
  ["copy A", "TARGET is missing after 'A'"],
  ["mirror A B C", "'C' is one argument too many"],
  ["check A B C", "'C' is one argument too many"],
  ["capabilities A", "TARGET is missing after 'A'"],
  ["version now", "version takes no arguments; 'now' is too many"],
  ["help copy move", "'move' is one argument too many"],
  ["copy --force-grpc --streams 2 A B", "--streams and --force-grpc contradict each other"],
  ["copy - B", "'-' (standard input or output) cannot be copied"],
  ["copy A user@host:dir", "'user@host:dir' names a user, and this build does not speak SSH; daemons know no users"],
  ["copy sftp://host/x B", "'sftp://host/x' cannot be reached: this build does not speak SFTP"],
  ["mirror A s3://bucket/", "'s3://bucket/' cannot be reached: this build does not speak S3"],
  ["copy A host:dir", "'host:dir' is no place behind a daemon\n  Write host:/dir. If it is a local path"],
  ["copy A host:/m/../x", "'host:/m/../x' has '..' in it"],
  // the daemon
  ["daemon here", "daemon takes no arguments; 'here' is too many"],
  ["daemon --prot 1", "unknown flag '--prot'; did you mean --port?"],
  [
    "daemon --checksum",
    "--checksum belongs to copy, mirror, move, check, cp, sync and explain; daemon has no use for it",
  ],
  ["copy --port 1 A B", "--port belongs to daemon; copy has no use for it"],
  ["daemon --no-mdns --mdns-name x", "--no-mdns and --mdns-name contradict each other"],
  ["daemon --config a --config-dir b", "--config and --config-dir contradict each other"],
  ["daemon --config=", "--config is empty"],
  ["serve", "unknown verb 'serve'; did you mean daemon?"],
  // short flags that take numbers elsewhere
  [
    "copy -p 8 A B",
    "-p is --progress here and takes no value, so 8 has no place\n  For 8 data streams write --streams 8, for 8 threads --workers 8.",
  ],
  ["copy -p8 A B", "-p is --progress here and takes no value"],
  ["copy -c 16M A B", "-c is --checksum here and takes no value, so 16M has no place"],
  ["copy -c16M A B", "-c is --checksum here and takes no value"],
  ["copy -c 16M A B", "To move large files in pieces of 16M write --chunk-size 16M."],
  [
    "cp -P 8 A B",
    "-P is --progress here and takes no value, so 8 has no place\n  For 8 data streams write -p 8 (--streams)",
  ],
  [
    "cp -p A B",
    "-p is --streams here and takes a number, not 'A'\n  Attributes are kept without a flag; to see progress write -P (--progress).",
  ],
  ["cp -p 16M A B", "-p is --streams here and takes a number, not '16M'\n  A size of chunks is -c 16M (--chunk-size)."],
  ["cp -p 99 A B", "--streams: '99' is not a whole number from 1 to 64"],
  ["cp -p", "-p needs a value: --streams=N"],
  ["cp -p -R A B", "-p needs a value before -R"],
  ["sync -c A B", "-c is --chunk-size here and takes a size, not 'A'\n  To compare contents write --checksum."],
  [
    "cp -c 8 A B",
    "-c is --chunk-size here, and no chunk is as short as 8 bytes\n  For 8 data streams write -p 8 (--streams)",
  ],
  ["cp -c 128K A B", "--chunk-size: '128K' is not from 1.00 MiB to 64.0 MiB"],
  ["cp -c 4Q A B", "-c is --chunk-size here and takes a size, not '4Q'"],
  ["copy --buffer-size=1K A B", "--buffer-size: '1K' is not from 1.00 MiB"],
  ["cp --parallel 4 A B", "--parallel is called --streams N between machines, and --workers N on one"],
  ["cp -x16 A B", "unknown flag '-1' (in '-x16')"],
];

describe("what is odd is no mistake", () => {
  test.each([
    [
      "copy -n --bwlimit 1000 A/ B",
      "--bwlimit is 1,000 B/s, since it counts bytes; what rsync calls 1000 is 1000K here",
    ],
    ["copy -n --bwlimit 16K A/ B", ""],
    ["mirror --detach A/ B", "--detach without --yes: nobody can be asked, so nothing is deleted"],
    ["mirror --detach --yes A/ B", ""],
    ["copy --detach A/ B", ""],
    ["check --trace-data-plane A/ B", "--trace-data-plane: both places are on this machine, and no connection"],
  ])("fastsync %s", async (line, said) => {
    const { code, err } = await answered(line.split(" "));
    expect([code, err]).toEqual([0, said === "" ? "" : expect.stringContaining(`warning: ${said}`)]);
  });
});

describe("usage errors", () => {
  const before = process.cwd();
  beforeAll(() => process.chdir(directory));
  afterAll(() => process.chdir(before));

  test.each(CASES.map(([line, message]) => [line, message] as const))("fastsync %s", async (line, message) => {
    const { code, out, err } = await answered(line.split(" "));
    expect(err).toContain(message);
    expect(err).toContain("--help");
    if (!line.includes("--json")) expect(out).toBe("");
    expect(code).toBe(1);
  });

  test.each(CASES.filter((_, at) => at % 40 === 0))("fastsync %s: a process likewise", async (line) => {
    expect(await run(line.split(" "), { cwd: directory })).toEqual(await answered(line.split(" ")));
  });
});

test("an empty argument", async () => {
  const { code, err } = await run(["copy", "", "B"]);
  expect(err).toContain("an argument is empty");
  expect(code).toBe(1);
});

test("control characters in arguments do not reach the terminal", async () => {
  const { err } = await run(["copy", "--\u001b[31mx", "A", "B"]);
  expect(err).not.toContain("\u001b");
  expect(err).toContain("\\033[31mx");
});

test("fastsync alone gives the short usage on stderr", async () => {
  const { code, out, err } = await run([]);
  expect(code).toBe(1);
  expect(out).toBe("");
  expect(err).toStartWith("Usage: fastsync VERB [flags] SOURCE... TARGET\n");
});

test("after --json a usage error is an error and one summary on stdout", async () => {
  for (const line of ["copy --json --frob A B", "copy --frob --json A B", "frob --json"]) {
    const { code, out, err } = await run(line.split(" "));
    expect(code).toBe(1);
    expect(err).toContain("fastsync");
    const lines = jsonLines(out);
    expect(lines.map(({ schema, type }) => ({ schema, type }))).toEqual([
      { schema: 1, type: "error" },
      { schema: 1, type: "summary" },
    ]);
    expect(lines[1]).toMatchObject({ exit_code: 1, exit_reason: "usage", files_transferred: 0 });
  }
});

test("of a verb that moves no content it has no counters of a run", async () => {
  for (const line of [
    "ls --json --frob",
    "rm --json",
    "list-modules --json",
    "jobs --json list :",
    "explain --json A",
  ]) {
    const { code, out } = await run(line.split(" "));
    expect([line, code]).toEqual([line, 1]);
    const lines = jsonLines(out);
    expectLookLines(lines);
    expect(lines.map(({ type, verb }) => [type, verb])).toEqual([
      ["error", undefined],
      ["summary", line.split(" ")[0]],
    ]);
  }
});

test("what follows -- is no flag", async () => {
  const { code, err, out } = await run(["copy", "--", "--json", "-n"]);
  expect(err).toBe("");
  expect(code).toBe(0);
  expect(out).toStartWith("copy --json/ -> -n (new)\n");
});

test("local names with colons", async () => {
  mkdirSync(join(directory, "2024:06"), { recursive: true });
  expect((await run(["copy", "2024:06", "B"], { cwd: directory })).code).toBe(0);
  expect((await run(["copy", "A", "./x:y"], { cwd: directory })).code).toBe(0);
  expect((await run(["copy", "A", "x:y"], { cwd: directory })).code).toBe(1);
});

test("a number that is a file may follow -p", async () => {
  writeFileSync(join(directory, "8"), "");
  expect((await run(["copy", "-p", "8", "B"], { cwd: directory })).code).toBe(0);
  rmSync(join(directory, "8"));
});
