/** `find [PLACE...]`: entries of trees that fit. */
import { defineCommand } from "citty";
import { type FindRequest, TYPE_LETTERS } from "../../core/admin-calls.ts";
import { LIMITS } from "../../core/limits.ts";
import { printable } from "../../core/paths.ts";
import type { CommandContext } from "../context.ts";
import { type Looking, look, takeParts } from "../look/look.ts";
import { shownPath } from "../look/place.ts";
import { entryFields, OwnerNames } from "../look/records.ts";
import { Columns, LONG_LEFT, longRow, sizeText } from "../look/text.ts";
import type { FlagName } from "../words/flags.ts";
import type { ParsedArgs } from "../words/parse-args.ts";
import { parseAge, parseSize } from "../words/sizes.ts";
import { UsageError } from "../words/usage-error.ts";

const END_OF_NAME = Uint8Array.of(0);

export const findCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    await look(data!, async (looking, places) => {
      if (looking.args.has("print0") && looking.out.isTerminal)
        throw new UsageError(
          "--print0 is for programs: names as they are may steer a terminal",
          "Pipe it: ... | xargs -0",
        );
      const request = requestOf(looking);
      let left = request.limit;
      let isCut = false;
      looking.counts["entries"] = 0;
      await looking.each(places, async (place) => {
        if (place.kind === "host")
          throw new UsageError(
            `${printable(place.shown)} names no module`,
            "fastsync list-modules HOST shows what there is.",
          );
        if (request.limit > 0 && left === 0) return;
        const { found, more } = await findIn(looking, place, { ...request, limit: left });
        if (request.limit > 0) left -= found;
        isCut ||= more;
      });
      if (!isCut) return;
      looking.out.flush();
      looking.err.line(`There is more than --limit ${request.limit} lets through`);
    });
  },
});

async function findIn(
  looking: Looking,
  place: Parameters<Looking["calls"]>[0],
  request: FindRequest,
): Promise<{ found: number; more: boolean }> {
  const { args, out, records } = looking;
  const calls = await looking.calls(place);
  const names = new OwnerNames();
  const columns = new Columns();
  const size = sizeText(args.has("bytes"));
  let found = 0;
  let isCut = false;
  await takeParts(looking, place, calls.find(place.path, request), ({ entries, more }) => {
    names.learn(entries);
    found += entries.paths.length;
    looking.counts["entries"] = Number(looking.counts["entries"]) + entries.paths.length;
    if (more) looking.counts["more"] = isCut = true;
    if (records !== undefined) {
      const where = printable(place.shown);
      for (let at = 0; at < entries.paths.length; at++) records.line("entry", entryFields(where, entries, at, names));
      return;
    }
    if (args.has("print0")) {
      out.bytes(Buffer.concat(entries.paths.flatMap((path) => [shownPath(place, path), END_OF_NAME])));
      return;
    }
    if (args.has("long")) {
      const rows = entries.paths.map((path, at) => longRow(entries, at, shownPath(place, path), names, size));
      for (const line of columns.lines(rows, LONG_LEFT)) out.line(line);
    } else for (const path of entries.paths) out.line(printable(shownPath(place, path)));
  });
  return { found, more: isCut };
}

function requestOf(looking: Looking): FindRequest {
  const { args } = looking;
  const nowSeconds = Date.now() / 1000;
  const age = (flag: FlagName): number | undefined => {
    const value = args.value(flag);
    return value === undefined ? undefined : parseAge(value.text, flag, nowSeconds);
  };
  const modifiedAfter = age("newer");
  const modifiedBefore = age("older");
  if (modifiedAfter !== undefined && modifiedBefore !== undefined && modifiedAfter > modifiedBefore)
    throw new UsageError("--newer and --older leave nothing between them");
  return {
    names: patterns(args, "name"),
    paths: patterns(args, "path"),
    types: typesOf(args),
    ...sizesOf(args),
    modifiedAfter,
    modifiedBefore,
    maxDepth: looking.count("max-depth", 0),
    limit: looking.count("limit", 1, 0),
    oneFileSystem: args.has("one-file-system"),
  };
}

function patterns(args: ParsedArgs, flag: FlagName): Uint8Array[] {
  const found = args.occurrences.flatMap((one) =>
    one.flag === flag && one.value !== undefined ? [one.value.bytes] : [],
  );
  if (found.length > LIMITS.findPatterns)
    throw new UsageError(`--${flag} is given more than ${LIMITS.findPatterns} times`);
  for (const pattern of found) {
    if (pattern.length === 0) throw new UsageError(`--${flag} is empty`);
    if (flag === "name" && pattern.includes(0x2f))
      throw new UsageError(
        `--name: '${printable(pattern)}' has a slash, which no name has`,
        "--path is matched against the whole path below the place.",
      );
    if (pattern.length > LIMITS.pathBytes) throw new UsageError(`--${flag}: the pattern is longer than any path`);
  }
  return found;
}

function typesOf(args: ParsedArgs): string {
  const given = args.value("type");
  if (given === undefined) return "";
  const letters = given.text.replaceAll(",", "");
  const wrong = [...letters].find((letter) => !TYPE_LETTERS.includes(letter));
  if (letters === "" || wrong !== undefined)
    throw new UsageError(
      `--type: '${printable(given.bytes)}' is no list of types`,
      "Types are f (file), d (directory), l (symbolic link), p (FIFO), s (socket), c and b (devices), as in --type f,l.",
    );
  return letters;
}

/** As find(1) has it: +SIZE is more, -SIZE less, SIZE exactly that. */
function sizesOf(args: ParsedArgs): Pick<FindRequest, "minSize" | "maxSize"> {
  let minSize: number | undefined;
  let maxSize: number | undefined;
  for (const { flag, value } of args.occurrences) {
    if (flag !== "size" || value === undefined) continue;
    const [, sign, text = ""] = /^([+-]?)(.*)$/s.exec(value.text)!;
    const size = parseSize(text, "size");
    if (sign !== "-") minSize = Math.max(minSize ?? 0, sign === "+" ? size + 1 : size);
    if (sign !== "+") maxSize = Math.min(maxSize ?? Number.MAX_SAFE_INTEGER, sign === "-" ? size - 1 : size);
  }
  if ((maxSize ?? 0) < (minSize ?? 0) && maxSize !== undefined)
    throw new UsageError("--size leaves no size that a file can have");
  return { minSize, maxSize };
}
