/** Opens the control plane of a daemon: one gRPC call, kept open for the length of a session. */

import type { Socket } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LIMITS } from "../core/limits.ts";
import {
  type SessionMessage,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
  TransferService,
} from "../wire/gen/fastsync/v1/session_pb.ts";
import { checkBounds } from "../wire/message-bounds.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { ControlStream } from "./control-stream.ts";
import { type DaemonAddress, dial, printableAddress } from "./dial.ts";
import { GrpcCall } from "./grpc-call.ts";
import { descriptorOf } from "./line.ts";

/**
 * Throws RunError, as `dial` does. A plain connection is tried first: what a gRPC client says of a refused one helps
 * nobody.
 */
export async function openControl(
  address: DaemonAddress,
  signal: AbortSignal,
  dialled: Promise<Socket> = dial(address, signal),
): Promise<ControlStream> {
  const socket = await dialled;
  const stream = new ControlStream(descriptorOf(socket));
  const call = new GrpcCall({
    socket,
    // A zone means something on this machine only (RFC 6874, section 4).
    authority: printableAddress({ ...address, host: address.host.replace(/%.*$/, "") }),
    path: `/${TransferService.typeName}/${TransferService.method.session.name}`,
    messageBytes: LIMITS.messageBytes,
  });
  void stream.ended.then((failure) => {
    // What is still being written gets its time; then the connection goes, since nobody will use it again.
    const linger = setTimeout(() => call.close(), failure === undefined ? LIMITS.lingerMs : 0);
    linger.unref();
  });
  void write(stream, call);
  stream.read(answers(call));
  return stream;
}

async function write(stream: ControlStream, call: GrpcCall): Promise<void> {
  try {
    for await (const messages of stream.outbox) await call.send(encodeRequest(messages));
    call.end();
  } catch (error) {
    stream.fail("broken", error instanceof Error ? error.message : String(error));
  }
}

/**
 * Content is not copied on its way: a request that is one payload is the payload behind the tags and lengths of the
 * three messages around it, which are concatenated by their encoding.
 */
function encodeRequest(messages: SessionMessage[]): Uint8Array[] {
  const body = messages.length === 1 ? messages[0]!.body : undefined;
  if (body?.case !== "payload" || body.value.end || body.value.data.length === 0)
    return [toBinary(SessionRequestSchema, create(SessionRequestSchema, { messages }))];
  const { data } = body.value;
  const inner = [PAYLOAD_DATA_TAG, ...varint(data.length)];
  const middle = [MESSAGE_PAYLOAD_TAG, ...varint(inner.length + data.length), ...inner];
  return [Uint8Array.from([REQUEST_MESSAGES_TAG, ...varint(middle.length + data.length), ...middle]), data];
}

/** Field number and wire type (2: length-delimited) of SessionRequest.messages, SessionMessage.payload, Payload.data. */
const REQUEST_MESSAGES_TAG = (1 << 3) | 2;
const MESSAGE_PAYLOAD_TAG = (7 << 3) | 2;
const PAYLOAD_DATA_TAG = (1 << 3) | 2;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

function decoded(message: Uint8Array): SessionResponse {
  checkBounds(SessionResponseSchema, message);
  try {
    return fromBinary(SessionResponseSchema, message);
  } catch {
    throw new ProtocolViolation("bytes that are no message");
  }
}

async function* answers(call: GrpcCall): AsyncGenerator<SessionResponse> {
  for await (const message of call.messages()) yield decoded(message);
}
