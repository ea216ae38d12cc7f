/** `daemon`: hands its flags over as they are. What they mean, the daemon decides together with its configuration. */
import { defineCommand } from "citty";
import type { DaemonFlags } from "../../core/daemon-flags.ts";
import type { CommandContext } from "../context.ts";
import type { FlagName } from "../words/flags.ts";
import type { ParsedArgs } from "../words/parse-args.ts";
import { UsageError } from "../words/usage-error.ts";

export const daemonCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const { args, parts } = data!;
    const flags = daemonFlags(args);
    const runDaemon = await parts.runDaemon();
    data!.exitCode = await runDaemon(flags);
  },
});

export function daemonFlags(args: ParsedArgs): DaemonFlags {
  const path = (name: FlagName): Uint8Array | undefined => {
    const value = args.value(name);
    if (value?.bytes.length === 0) throw new UsageError(`--${name} is empty`);
    return value?.bytes;
  };
  return {
    config: path("config"),
    configDir: path("config-dir"),
    bind: args.occurrences.flatMap(({ flag, value }) => (flag === "bind" ? [value!.text] : [])),
    port: args.value("port")?.text,
    dataPort: args.value("data-port")?.text,
    root: path("root"),
    noMdns: args.has("no-mdns"),
    mdnsName: args.value("mdns-name")?.text,
    forceGrpcData: args.has("force-grpc-data"),
  };
}
