/**
 * Where gRPC calls come in. As connect-node's own adapter, but that each message is looked at before it is unpacked
 * (`checkBounds`), and that gRPC is the only protocol.
 */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextValues,
  createConnectRouter,
} from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { gather, joined } from "../wire/chunks.ts";
import { checkBounds, type MessageBounds } from "../wire/message-bounds.ts";

const PREFIX_BYTES = 5;
/** Of the first byte of a message: the only one that gRPC knows. */
const COMPRESSED = 1;
const NOT_FOUND = 404;

export interface RequestBounds extends MessageBounds {
  readonly bytes: number;
}

export interface BoundedOptions {
  readonly routes: (router: ConnectRouter) => void;
  readonly contextValues: (request: Http2ServerRequest | IncomingMessage) => ContextValues;
  /** What one request of a service may be. */
  readonly bounds: (service: DescService) => RequestBounds;
}

export function boundedRequests(
  options: BoundedOptions,
): (request: Http2ServerRequest, response: Http2ServerResponse) => void {
  const routerOptions: ConnectRouterOptions = {
    grpc: true,
    grpcWeb: false,
    connect: false,
    // Neither side compresses; what unpacks to many times its size is nothing that a peer gets to send.
    acceptCompression: [],
  };
  const router = createConnectRouter(routerOptions);
  options.routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    const handler = handlers.get(request.url.split("?", 2)[0]!);
    if (handler === undefined) {
      response.writeHead(NOT_FOUND);
      response.end();
      return;
    }
    const asked = universalRequestFromNodeRequest(request, response, undefined, options.contextValues(request));
    const most = options.bounds(handler.service);
    const body = bounded(handler.method.input, asked.body as AsyncIterable<Uint8Array>, most);
    handler({ ...asked, body })
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((reason: unknown) => {
        if (ConnectError.from(reason).code !== Code.Aborted)
          console.error(`fastsync daemon: the call ${handler.method.name} failed:`, reason);
      });
  };
}

/** The same bytes, one whole message at a time. Throws ConnectError at the first that is too large, or too much. */
export async function* bounded(
  input: DescMessage,
  body: AsyncIterable<Uint8Array>,
  most: RequestBounds,
): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = [];
  let have = 0;
  /** Bytes of the message that is being gathered, its prefix included; 0: not known yet. */
  let need = 0;
  for await (const chunk of body) {
    gather(chunks, chunk);
    have += chunk.length;
    while (have >= (need === 0 ? PREFIX_BYTES : need)) {
      if (chunks.length > 1) chunks = [joined(chunks, have)];
      const all = chunks[0]!;
      if (need === 0) {
        const length = new DataView(all.buffer, all.byteOffset, PREFIX_BYTES).getUint32(1);
        if (length > most.bytes)
          throw new ConnectError(
            `a message of ${length} bytes, of which ${most.bytes} are taken`,
            Code.ResourceExhausted,
          );
        need = PREFIX_BYTES + length;
        continue;
      }
      const message = all.subarray(0, need);
      const flags = message[0]!;
      if (flags > COMPRESSED)
        throw new ConnectError(`a message with the flags ${flags}, of which none is known`, Code.InvalidArgument);
      // What says that it is compressed is refused as it is: nothing of it is unpacked.
      if (flags !== COMPRESSED) check(input, message.subarray(PREFIX_BYTES), most);
      yield message;
      have -= need;
      chunks = have === 0 ? [] : [all.subarray(need)];
      need = 0;
    }
  }
  // The end in the middle of a message is for the reader to name. At once: it copies all it has for each chunk more.
  if (have > 0) yield joined(chunks, have);
}

function check(input: DescMessage, message: Uint8Array, most: MessageBounds): void {
  try {
    checkBounds(input, message, most);
  } catch (error) {
    throw new ConnectError(error instanceof Error ? error.message : String(error), Code.InvalidArgument);
  }
}
