/**
 * The second step of a command line: parsed flags become RunOptions. Here flags get their meaning and defaults, files
 * of rules are read, and names of accounts become numbers.
 */

import { type FilterRuleText, type FilterSpec, NO_FILTER } from "../../core/filter-spec.ts";
import { LIMITS } from "../../core/limits.ts";
import { nearest } from "../../core/nearest.ts";
import type {
  CompareOptions,
  CopyMethod,
  DeleteOptions,
  PreserveOptions,
  RunOptions,
  TransferOptions,
  Verb,
  WriteOptions,
} from "../../core/options.ts";
import type { OwnerRule } from "../../core/owner-rule.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import { whyThrown } from "../../fs/denied.ts";
import type { NetworkOptions } from "../../session/api.ts";
import type { ZeroCopy } from "../report/printer.ts";
import { COPY_METHODS, type FlagName } from "./flags.ts";
import { readOperatorFile } from "./operator-file.ts";
import { type AccountFiles, parseOwner, parseOwnerRules, SYSTEM_ACCOUNTS } from "./owners.ts";
import { listed, type Occurrence, type ParsedArgs } from "./parse-args.ts";
import {
  parseAge,
  parseCount,
  parseDeleteLimit,
  parseSeconds,
  parseSize,
  parseSizeWithin,
  parseWindow,
} from "./sizes.ts";
import { UsageError } from "./usage-error.ts";
import type { VerbName } from "./verbs.ts";

/** What the options depend on beside the command line; tests give their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: number;
  readonly readFile: (path: Uint8Array) => Uint8Array;
  readonly readStdin: () => Promise<Uint8Array>;
  readonly accounts: AccountFiles;
}

export function systemSurroundings(): Surroundings {
  return {
    env: process.env,
    nowMs: Date.now(),
    readFile: readOperatorFile,
    readStdin: () => Bun.stdin.bytes(),
    accounts: SYSTEM_ACCOUNTS,
  };
}

/** How the run is shown; the session never sees it. */
export interface FaceOptions {
  /** The verb as it was written. */
  readonly command: VerbName;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly quiet: boolean;
  readonly itemize: boolean;
  readonly stats: boolean;
  /** Where the run is written down too. */
  readonly logFile: Uint8Array | undefined;
  readonly yes: boolean;
  readonly progress: "automatic" | "on" | "off";
  /** The run is noted when it went well. */
  readonly history: boolean;
  /** undefined: a verb that copies nothing. */
  readonly zeroCopy: ZeroCopy | undefined;
  /** Decisions worth a line with --verbose. */
  readonly notes: readonly string[];
}

export interface Resolved {
  readonly options: RunOptions;
  readonly network: NetworkOptions;
  readonly face: FaceOptions;
}

export async function resolveOptions(args: ParsedArgs, around: Surroundings = systemSurroundings()): Promise<Resolved> {
  const verb = runVerbOf(args);
  const zeroCopy = verb === "check" ? undefined : resolveZeroCopy(args, around.env);
  const options: RunOptions = {
    verb,
    dryRun: args.has("dry-run"),
    compare: resolveCompare(args),
    preserve: resolvePreserve(args, around),
    delete: resolveDelete(args, verb),
    write: resolveWrite(args, verb, zeroCopy),
    transfer: resolveTransfer(args),
    filter: await resolveFilter(args, around),
    oneFileSystem: args.has("one-file-system"),
    recursive: args.verb !== "cp" || args.has("recursive"),
    copyLinks: args.has("copy-links"),
    safeLinks: args.has("safe-links"),
    pruneEmptyDirs: args.has("prune-empty-dirs"),
    strictAttrs: !args.has("no-strict-attrs"),
    retry: {
      attempts: parsed(args, "retry", (text) => parseCount(text, "retry", 0, 1_000_000)) ?? 0,
      waitMs: parsed(args, "wait", (text) => parseSeconds(text, "wait")) ?? 1000,
    },
  };
  const face: FaceOptions = {
    command: args.verb,
    json: args.has("json"),
    verbose: args.has("verbose"),
    quiet: args.has("quiet"),
    itemize: args.has("itemize"),
    stats: args.has("stats"),
    logFile: logFileValue(args),
    yes: args.has("yes"),
    progress: args.has("progress") ? "on" : args.has("no-progress") ? "off" : "automatic",
    history: !args.has("no-history"),
    zeroCopy,
    notes: zeroCopy?.decidedBy === undefined ? [] : [zeroCopyNote(zeroCopy, around.env)],
  };
  const network: NetworkOptions = {
    inStream: args.has("force-grpc"),
    streams: parsed(args, "streams", (text) => parseCount(text, "streams", 1, LIMITS.streamsGrantable)) ?? 0,
    trace: args.has("trace-data-plane"),
    detach: args.has("detach"),
    acceptsDeletions: args.has("yes"),
  };
  return { options, network, face };
}

/** What the verb of the command line does: some say it in other words, and `explain` names none. */
export function runVerbOf(args: ParsedArgs): Verb {
  switch (args.verb) {
    case "cp":
    case "explain":
      return "copy";
    case "sync":
      return args.has("delete") ? "mirror" : "copy";
    default:
      return args.verb as Verb;
  }
}

function resolveCompare(args: ParsedArgs): CompareOptions {
  return {
    checksum: args.has("checksum"),
    sizeOnly: args.has("size-only"),
    ignoreTimes: args.has("ignore-times"),
    modifyWindowNs: parsed(args, "modify-window", (text) => parseWindow(text, "modify-window")) ?? 0,
    ignoreExisting: args.has("ignore-existing"),
    existing: args.has("existing"),
    update: args.has("update"),
  };
}

function resolvePreserve(args: ParsedArgs, around: Surroundings): PreserveOptions {
  const chown = args.value("chown");
  const owner = chown === undefined ? { uid: undefined, gid: undefined } : parseOwner(chown.bytes, around.accounts);
  if (owner.uid !== undefined && args.has("no-owner")) {
    throw new UsageError("--chown with a user and --no-owner contradict each other; leave one out");
  }
  if (owner.gid !== undefined && args.has("no-group")) {
    throw new UsageError("--chown with a group and --no-group contradict each other; leave one out");
  }
  const rules = (flag: "usermap" | "groupmap"): readonly OwnerRule[] => {
    const value = args.value(flag);
    const [off, chowned] = flag === "usermap" ? (["no-owner", owner.uid] as const) : (["no-group", owner.gid] as const);
    if (value === undefined) return [];
    if (args.has(off)) throw new UsageError(`--${flag} and --${off} contradict each other; leave one out`);
    if (chowned !== undefined) throw new UsageError(`--${flag} and --chown contradict each other; leave one out`);
    return parseOwnerRules(flag, value.bytes, around.accounts);
  };
  return {
    perms: !args.has("no-perms"),
    times: !args.has("no-times"),
    // A directory's time is a time: --no-times covers it.
    dirTimes: !args.has("no-dir-times") && !args.has("no-times"),
    owner: !args.has("no-owner"),
    group: !args.has("no-group"),
    xattrs: !args.has("no-xattrs"),
    acls: !args.has("no-acls"),
    hardLinks: !args.has("no-hard-links"),
    specials: !args.has("no-specials"),
    sparse: !args.has("no-sparse"),
    numericIds: args.has("numeric-ids"),
    chownUid: owner.uid,
    chownGid: owner.gid,
    userMap: rules("usermap"),
    groupMap: rules("groupmap"),
  };
}

function resolveDelete(args: ParsedArgs, verb: Verb): DeleteOptions {
  return {
    enabled: verb === "mirror",
    excluded: args.has("delete-excluded"),
    limit: parsed(args, "max-delete", (text) => parseDeleteLimit(text, "max-delete")) ?? { kind: "guard" },
    allowEmptySource: args.has("allow-empty-source"),
  };
}

function resolveWrite(args: ParsedArgs, verb: Verb, zeroCopy: ZeroCopy | undefined): WriteOptions {
  const verify = args.occurrences.find((occurrence) => occurrence.flag === "verify");
  const fsync = args.value("fsync")?.text as WriteOptions["fsync"] | undefined;
  return {
    inplace: args.has("inplace"),
    tempDir: directoryValue(args, "temp-dir"),
    backup: resolveBackup(args),
    resume: args.has("resume"),
    // A move removes its sources: what replaces them has to be on disk first.
    fsync: fsync ?? (verb === "move" ? "end" : "none"),
    verify: verify === undefined ? "none" : verify.value === undefined ? "compare" : "readback",
    rateBytesPerSecond: parsed(args, "bwlimit", (text) => parseSize(text, "bwlimit")) ?? 0,
    workers: parsed(args, "workers", (text) => parseCount(text, "workers", 1, 256)) ?? 0,
    methods: resolveMethods(args, zeroCopy),
  };
}

function resolveTransfer(args: ParsedArgs): TransferOptions {
  const size = (flag: FlagName, fewest: number, most: number): number =>
    parsed(args, flag, (text) => parseSizeWithin(text, flag, fewest, most)) ?? 0;
  const { socketBufferFewestBytes, socketBufferMostBytes } = LIMITS;
  const chunk = size("chunk-size", LIMITS.chunkFewestBytes, LIMITS.chunkMostBytes);
  return {
    // Ranges begin where a block of the basis does.
    chunkBytes: chunk - (chunk % LIMITS.basisBlockBytes),
    bufferBytes: size("buffer-size", LIMITS.bufferFewestBytes, 2 ** 40),
    smallFileBytes: size("small-file-size", 1, LIMITS.smallFileMostBytes),
    sendBufferBytes: size("tcp-send-buffer", socketBufferFewestBytes, socketBufferMostBytes),
    receiveBufferBytes: size("tcp-recv-buffer", socketBufferFewestBytes, socketBufferMostBytes),
  };
}

/** NAME_MAX. */
const NAME_BYTES = 255;

function resolveBackup(args: ParsedArgs): WriteOptions["backup"] {
  const directory = directoryValue(args, "backup-dir");
  if (!args.has("backup") && directory === undefined) return undefined;
  const given = args.value("suffix")?.bytes;
  const suffix = given ?? bytesOf(directory === undefined ? "~" : "");
  if (suffix.includes(0x2f))
    throw new UsageError("--suffix may not contain a slash", "Another directory is --backup-dir.");
  if (suffix.length > NAME_BYTES)
    throw new UsageError(`--suffix has ${suffix.length} bytes, and no name has more than ${NAME_BYTES}`);
  if (suffix.length === 0 && directory === undefined) {
    throw new UsageError(
      "--suffix is empty, so a backup would have the name of its file",
      "Give --backup-dir, or a suffix.",
    );
  }
  return { suffix, directory };
}

function logFileValue(args: ParsedArgs): Uint8Array | undefined {
  const bytes = args.value("log-file")?.bytes;
  if (bytes?.length === 0) throw new UsageError("--log-file is empty");
  if (bytes?.length === 1 && bytes[0] === 0x2d)
    throw new UsageError(
      "--log-file is a file: on stdout --json writes the same",
      "A file of that name is written ./-",
    );
  return bytes;
}

function directoryValue(args: ParsedArgs, flag: FlagName): Uint8Array | undefined {
  const bytes = args.value(flag)?.bytes;
  if (bytes?.length === 0) throw new UsageError(`--${flag} is empty`, "The current directory is written .");
  if (bytes !== undefined && bytes.length > LIMITS.pathBytes)
    throw new UsageError(`--${flag} has ${bytes.length} bytes, and no path has more than ${LIMITS.pathBytes}`);
  return bytes;
}

/** FASTSYNC_NO_ZERO_COPY, and its name in Orbit. Empty, 0 and their like mean no. */
export function zeroCopyDisabledBy(env: Surroundings["env"]): string | undefined {
  return ["FASTSYNC_NO_ZERO_COPY", "ORBIT_NO_ZERO_COPY"].find(
    (name) => !["", "0", "false", "no", "off"].includes(env[name]?.toLowerCase() ?? ""),
  );
}

/** A flag decides over the environment. */
function resolveZeroCopy(args: ParsedArgs, env: Surroundings["env"]): ZeroCopy {
  const list = args.value("copy-method")?.text;
  if (list !== undefined) {
    const allowed = parseMethods(list).some((method) => KERNEL_METHODS.has(method));
    return { allowed, decidedBy: "--copy-method" };
  }
  if (args.has("no-zero-copy")) return { allowed: false, decidedBy: "--no-zero-copy" };
  if (args.has("zero-copy")) return { allowed: true, decidedBy: "--zero-copy" };
  const disabledBy = zeroCopyDisabledBy(env);
  return { allowed: disabledBy === undefined, decidedBy: disabledBy };
}

/** Data does not pass through this process. */
const KERNEL_METHODS: ReadonlySet<CopyMethod> = new Set(["clone", "copy_file_range", "sendfile"]);

function zeroCopyNote({ allowed, decidedBy }: ZeroCopy, env: Surroundings["env"]): string {
  const overridden = decidedBy === "--zero-copy" ? zeroCopyDisabledBy(env) : undefined;
  const why = overridden === undefined ? decidedBy : `${decidedBy} overrides ${overridden}`;
  return `zero-copy: ${allowed ? "on" : "off"} (${why})`;
}

function resolveMethods(args: ParsedArgs, zeroCopy: ZeroCopy | undefined): readonly CopyMethod[] | undefined {
  const list = args.value("copy-method")?.text;
  if (list !== undefined) return parseMethods(list);
  return zeroCopy?.allowed === false ? ["read_write"] : undefined;
}

function parseMethods(list: string): CopyMethod[] {
  const methods: CopyMethod[] = [];
  for (const word of list.split(",")) {
    const method = COPY_METHODS.find((known) => known === word);
    if (method === undefined) {
      const meant = nearest(word.replaceAll("-", "_"), COPY_METHODS);
      throw new UsageError(
        `--copy-method knows ${listed(COPY_METHODS, "and")}, not '${printable(bytesOf(word))}'${meant === undefined ? "" : `; did you mean ${meant}?`}`,
      );
    }
    if (!methods.includes(method)) methods.push(method);
  }
  return methods;
}

async function resolveFilter(args: ParsedArgs, around: Surroundings): Promise<FilterSpec> {
  const nowSeconds = around.nowMs / 1000;
  const spec: FilterSpec = {
    ...NO_FILTER,
    ...(await resolveRules(args, around)),
    gitignore: args.has("gitignore"),
    minSize: parsed(args, "min-size", (text) => parseSize(text, "min-size")),
    maxSize: parsed(args, "max-size", (text) => parseSize(text, "max-size")),
    modifiedAfter: parsed(args, "max-age", (text) => parseAge(text, "max-age", nowSeconds)),
    modifiedBefore: parsed(args, "min-age", (text) => parseAge(text, "min-age", nowSeconds)),
  };
  if (spec.minSize !== undefined && spec.maxSize !== undefined && spec.minSize > spec.maxSize) {
    throw new UsageError("--min-size is larger than --max-size, so no file would be left");
  }
  if (
    spec.modifiedAfter !== undefined &&
    spec.modifiedBefore !== undefined &&
    spec.modifiedAfter > spec.modifiedBefore
  ) {
    throw new UsageError("--min-age is older than --max-age, so no file would be left");
  }
  return spec;
}

const RULE_FLAGS: readonly FlagName[] = ["exclude", "include", "filter", "exclude-from", "include-from"];

async function resolveRules(
  args: ParsedArgs,
  around: Surroundings,
): Promise<{ rules: readonly FilterRuleText[]; filesFrom: readonly Uint8Array[] | undefined }> {
  const ruled = args.occurrences.filter(({ flag }) => RULE_FLAGS.includes(flag));
  const list = args.occurrences.find(({ flag }) => flag === "files-from");
  if (ruled.length === 0 && list === undefined) return { rules: [], filesFrom: undefined };
  // Most runs have no filters and need none of this code.
  const [read, { parseFilesFrom }, { FilterError }] = await Promise.all([
    import("../../filter/read-rules.ts"),
    import("../../filter/files-from.ts"),
    import("../../filter/filter-error.ts"),
  ]);
  const nul = args.has("from0");
  const readNamed = namedFileReader(around);
  try {
    const rules: FilterRuleText[] = [];
    for (const occurrence of ruled) {
      const bytes = occurrence.value!.bytes;
      const origin = `--${occurrence.flag}`;
      switch (occurrence.flag) {
        case "exclude":
        case "include":
          rules.push(read.ruleFromPattern(bytes, occurrence.flag, origin));
          break;
        case "filter":
          rules.push({ text: bytes, origin });
          break;
        default: {
          const kind = occurrence.flag === "exclude-from" ? "exclude" : "include";
          rules.push(...read.rulesFromExcludeFile(await readNamed(occurrence), printable(bytes), kind, nul));
        }
      }
    }
    const expanded = read.expandMerges(
      rules,
      (fileName, origin) => readOrExplain(() => around.readFile(fileName), origin, fileName),
      nul,
    );
    return { rules: expanded, filesFrom: list === undefined ? undefined : parseFilesFrom(await readNamed(list), nul) };
  } catch (error) {
    if (error instanceof FilterError) throw new UsageError(error.message);
    throw error;
  }
}

/** Reads the file that a flag names; `-` is standard input, which can serve only one flag. */
function namedFileReader(around: Surroundings): (occurrence: Occurrence) => Promise<Uint8Array> {
  let stdinFor: string | undefined;
  return async ({ flag, value }) => {
    if (value!.text !== "-") return readOrExplain(() => around.readFile(value!.bytes), `--${flag}`, value!.bytes);
    if (stdinFor !== undefined) {
      throw new UsageError(`--${stdinFor} and --${flag} cannot both read standard input`, "Give one of them a file.");
    }
    stdinFor = flag;
    return await around.readStdin();
  };
}

function readOrExplain(read: () => Uint8Array, origin: string, path: Uint8Array): Uint8Array {
  try {
    return read();
  } catch (error) {
    throw new UsageError(`${origin}: cannot read '${printable(path)}': ${problemOf(error)}`);
  }
}

function problemOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const known: Readonly<Record<string, string>> = {
    ENOENT: "no such file",
    EISDIR: "it is a directory",
    ENOTDIR: "a part of the path is not a directory",
    ELOOP: "a symbolic link is in the way",
  };
  return (code === undefined ? undefined : known[code]) ?? whyThrown(error);
}

function parsed<T>(args: ParsedArgs, flag: FlagName, parse: (text: string) => T): T | undefined {
  const value = args.value(flag);
  return value === undefined ? undefined : parse(value.text);
}
