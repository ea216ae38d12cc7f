/** `fastsync 0.1.0 (bun 1.4.4, native: ...)` */

import type { Output } from "../report/output.ts";
import { plain } from "../report/text-printer.ts";
import { VERSION } from "../version.ts";

export async function writeVersion(out: Output, json: boolean): Promise<void> {
  const { openBackend } = await import("../../fs/open-backend.ts");
  const backend = openBackend({ workers: 1 });
  const { kind, reason } = backend;
  await backend.shutdown();
  out.line(
    json
      ? JSON.stringify({
          schema: 1,
          type: "version",
          version: VERSION,
          bun: Bun.version,
          backend: kind,
          backend_reason: reason,
        })
      : `fastsync ${VERSION} (bun ${Bun.version}, ${kind}: ${plain(reason)})`,
  );
}
