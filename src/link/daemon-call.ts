/** One call of a daemon beside sessions: a request, and one answer or several, on a connection of its own. */
import { type DescMessage, type DescMethod, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import { RunError } from "../core/run-error.ts";
import { checkBounds } from "../wire/message-bounds.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { type DaemonAddress, dial, printableAddress } from "./dial.ts";
import { GrpcCall } from "./grpc-call.ts";

type Method<I extends DescMessage, O extends DescMessage> = DescMethod & { readonly input: I; readonly output: O };

/**
 * The answers, as they come. Throws RunError as `dial` does and when nothing is heard for `LIMITS.idleMs`, CallFailed when
 * the daemon refuses, ProtocolViolation when what it says is no message, and Error when the connection breaks. Aborting
 * ends it as a broken connection does.
 */
export async function* callDaemon<I extends DescMessage, O extends DescMessage>(
  address: DaemonAddress,
  method: Method<I, O>,
  request: MessageShape<I>,
  signal: AbortSignal,
): AsyncGenerator<MessageShape<O>> {
  const socket = await dial(address, signal);
  const call = new GrpcCall({
    socket,
    authority: printableAddress({ ...address, host: address.host.replace(/%.*$/, "") }),
    path: `/${method.parent.typeName}/${method.name}`,
    messageBytes: LIMITS.messageBytes,
  });
  const stop = (): void => call.close();
  signal.addEventListener("abort", stop, { once: true });
  let isSilent = false;
  const silence = setTimeout(() => {
    isSilent = true;
    call.close();
  }, LIMITS.idleMs);
  try {
    await call.send([toBinary(method.input, request)]);
    call.end();
    for await (const bytes of call.messages()) {
      silence.refresh();
      yield decoded(method.output, bytes);
    }
  } catch (error) {
    if (isSilent) {
      const message = `nothing was heard of ${printableAddress(address)} for ${LIMITS.idleMs / 1000} s`;
      throw new RunError(ExitCode.timeout, "timeout", message);
    }
    throw error;
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", stop);
    call.close();
  }
}

function decoded<O extends DescMessage>(schema: O, bytes: Uint8Array): MessageShape<O> {
  checkBounds(schema, bytes);
  try {
    return fromBinary(schema, bytes);
  } catch {
    throw new ProtocolViolation("bytes that are no message");
  }
}
