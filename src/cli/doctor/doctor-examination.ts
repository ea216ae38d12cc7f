/** What `doctor` and `diagnostics` look at, in their order. */
import { release } from "node:os";
import type { Finding } from "../../doctor/finding.ts";
import { finding } from "../../doctor/finding.ts";
import {
  clockFinding,
  congestionFinding,
  kernelFinding,
  mtuFinding,
  openFilesFinding,
  tcpBuffersFinding,
  terminalFinding,
  userFinding,
} from "../../doctor/machine.ts";
import type { OpenedBackend } from "../../fs/open-backend.ts";
import { openBackendExplained } from "../../fs/open-backend.ts";
import type { CommandContext } from "../context.ts";
import { checkValues } from "../settings/check.ts";
import { loadSettings } from "../settings/load.ts";
import { daemonWord, placeOf, requestOf } from "../settings/of-run.ts";
import { VERSION } from "../version.ts";
import { ParsedArgs } from "../words/parse-args.ts";
import type { Argument } from "../words/raw-args.ts";
import { resolveOptions } from "../words/resolve-options.ts";
import { UsageError } from "../words/usage-error.ts";

type Tell = (finding: Finding) => void;

export async function examineMachine({ args, outputs }: CommandContext, tell: Tell): Promise<void> {
  tell(finding("version", "ok", `fastsync ${VERSION}, bun ${Bun.version}, ${process.platform} ${process.arch}`));
  const opened = openBackendExplained({ workers: 1 });
  await opened.backend.shutdown();
  tell(libraryFinding(opened));
  const settings = loadSettings(requestOf(args, process.env));
  tell(configurationFinding(settings.files, [...settings.problems, ...(await checkValues(settings.layers))]));
  tell(userFinding());
  if (process.platform === "linux") tell(kernelFinding(release()));
  tell(clockFinding());
  tell(openFilesFinding(opened.openFiles));
  const { err } = outputs;
  tell(
    terminalFinding({
      isTerminal: err.isTerminal,
      columns: process.stderr.columns,
      colour: err.colour,
      env: process.env,
    }),
  );
  if (process.platform !== "linux") return;
  for (const look of [tcpBuffersFinding, congestionFinding, mtuFinding]) tell(look());
}

export function libraryFinding({ backend: { kind, reason }, candidates }: OpenedBackend): Finding {
  if (kind === "native") return finding("native_library", "ok", reason);
  if (candidates.length === 0)
    return finding("native_library", "warning", `not used: ${reason}`, "unset FASTSYNC_NATIVE");
  return finding(
    "native_library",
    "warning",
    `not used, all is copied by reading and writing: ${reason}`,
    "install the build that is meant for this machine, or build it with a C compiler at hand",
  );
}

export function configurationFinding(files: readonly string[], problems: readonly string[]): Finding {
  const [first] = problems;
  if (first === undefined) return finding("configuration", "ok", files.length === 0 ? "no file" : files.join(", "));
  const more = problems.length === 1 ? "" : ` (and ${problems.length - 1} more)`;
  return finding(
    "configuration",
    "problem",
    `${first}${more}`,
    "fastsync config check names all; no run begins until then",
  );
}

/** `begin` is told before the first finding of each place. */
export async function examinePlaces(
  { args }: CommandContext,
  tell: Tell,
  begin: (word: Argument) => void,
): Promise<void> {
  if (args.places.length === 0) return;
  const settings = loadSettings(requestOf(args, process.env));
  for (const word of args.places) {
    begin(word);
    for (const found of await examine(word, settings.remotes)) tell({ ...found, place: word.text });
  }
}

async function examine(word: Argument, remotes: Parameters<typeof placeOf>[1]): Promise<Finding[]> {
  let place: ReturnType<typeof placeOf>;
  try {
    const daemon = daemonWord(word, remotes);
    if (daemon !== undefined) {
      const { examineDaemon } = await import("../../doctor/daemon-place.ts");
      return await examineDaemon(daemon);
    }
    place = placeOf(word, remotes);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return [finding("place", "problem", error.message, error.way)];
  }
  if (place.kind === "daemon") {
    const { examineDaemonPlace } = await import("../../doctor/daemon-place.ts");
    const { options } = await resolveOptions(new ParsedArgs("check", [], []));
    return await examineDaemonPlace(place, options);
  }
  const { examineLocalPlace } = await import("../../doctor/local-place.ts");
  const { backend } = openBackendExplained({ workers: 1 });
  try {
    return await examineLocalPlace(backend, place.path);
  } finally {
    await backend.shutdown();
  }
}
