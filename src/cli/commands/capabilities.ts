/** `capabilities [SOURCE TARGET]`: which engine serves and why, and what works between two places. */
import { availableParallelism, constants } from "node:os";
import { dirname } from "node:path";
import { defineCommand } from "citty";
import { ExitCode } from "../../core/exit-codes.ts";
import type { CopyMethod } from "../../core/options.ts";
import { printable } from "../../core/paths.ts";
import { RunError } from "../../core/run-error.ts";
import { workersFor } from "../../engine/worker-policy.ts";
import { type Backend, type ProbeResult, WORKING_DIRECTORY } from "../../fs/backend.ts";
import { whyNot } from "../../fs/denied.ts";
import { type OpenedBackend, openBackendExplained } from "../../fs/open-backend.ts";
import type { CommandContext } from "../context.ts";
import { proseWidthOf } from "../report/screen.ts";
import { type CapabilitiesReport, capabilitiesJson, capabilitiesText } from "../text/capabilities-text.ts";
import { COPY_METHODS } from "../words/flags.ts";
import { quoted } from "../words/parse-args.ts";
import { localPlace } from "../words/places.ts";
import type { Argument } from "../words/raw-args.ts";
import { zeroCopyDisabledBy } from "../words/resolve-options.ts";

export const capabilitiesCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const { args, outputs } = data!;
    const places = args.places.map((word) => ({ word, ...localPlace(word) }));
    const opened = openBackendExplained({
      workers: workersFor({
        cores: availableParallelism(),
        rotational: false,
        remote: false,
        averageFileBytes: undefined,
      }),
    });
    try {
      const [source, target] = places;
      const pair =
        source === undefined || target === undefined ? undefined : await probePair(opened.backend, source, target);
      const report = reportOf(opened, pair);
      if (args.has("json")) outputs.out.line(JSON.stringify(capabilitiesJson(report)));
      else outputs.out.write(capabilitiesText(report, proseWidthOf(outputs.out)));
    } finally {
      await opened.backend.shutdown();
    }
  },
});

function reportOf(opened: OpenedBackend, pair: CapabilitiesReport["pair"]): CapabilitiesReport {
  const { backend, candidates, openFiles } = opened;
  return {
    backend: backend.kind,
    reason: backend.reason,
    candidates,
    openFiles,
    workers: backend.workers,
    capabilities: backend.capabilities,
    zeroCopyDisabledBy: zeroCopyDisabledBy(process.env),
    pair,
  };
}

interface Place {
  readonly word: Argument;
  readonly path: Uint8Array;
}

async function probePair(
  backend: Backend,
  source: Place,
  target: Place,
): Promise<NonNullable<CapabilitiesReport["pair"]>> {
  const from = await nearestDirectory(backend, source, [-constants.errno.ENOTDIR]);
  // A target need not exist yet.
  const into = await nearestDirectory(backend, target, [-constants.errno.ENOTDIR, -constants.errno.ENOENT]);
  try {
    for (const [place, found] of [
      [source, from],
      [target, into],
    ] as const) {
      if (found.handle < 0)
        throw new RunError(
          ExitCode.selecting,
          "place_unusable",
          `${quoted(place.word)} cannot be opened: ${whyNot(found.handle)}`,
        );
    }
    const probe: ProbeResult = await backend.probe(from.handle, into.handle);
    const methods = Object.fromEntries(COPY_METHODS.map((name) => [name, probe.methods[name]])) as Record<
      CopyMethod,
      number
    >;
    return { source: printable(from.path), target: printable(into.path), probe: { ...probe, methods } };
  } finally {
    backend.close([from.handle, into.handle].filter((handle) => handle >= 0));
  }
}

/** The directory itself, or the nearest one above while opening answers one of `climbOn`. */
async function nearestDirectory(
  backend: Backend,
  { path }: Place,
  climbOn: readonly number[],
): Promise<{ handle: number; path: Uint8Array }> {
  let here = path;
  while (true) {
    const handle = await backend.resolve(WORKING_DIRECTORY, here, { create: false, operator: true });
    const text = Buffer.from(here).toString("latin1");
    const above = dirname(text);
    if (!climbOn.includes(handle) || above === text) return { handle, path: here };
    here = Buffer.from(above, "latin1");
  }
}
