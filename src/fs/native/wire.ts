/**
 * The data plane on the native library: streams, what is sent and what is expected, each as one request.
 *
 * A socket is duplicated when it is handed over, so the caller closes its own. With Bun's sockets (`socket.fd`) mind
 * three things: pause the socket in its `open` handler, or Bun reads the first frames; keep it open until `ended`
 * settles, since `end()` and `terminate()` act on the connection, which both descriptors share; and close it then with
 * `terminate()`. It sends a reset, which no longer harms: a sending stream ends only after the peer has read BYE and
 * closed, or kept it waiting for five seconds. `end()` alone would leave a paused socket open for ever.
 */
import { NO_FD, Op, REASONS, type Reason, Stage, Stream, Wire } from "../../../ffi/fsy.ts";
import { CQE, SQE } from "../../../ffi/layout.ts";
import { E } from "../../core/errno.ts";
import type {
  ItemResults,
  LargeFile,
  LargeRequest,
  NeedNumber,
  PreparedSettings,
  RangeResult,
  ReceiveRequest,
  SendRequest,
  StreamEnd,
  WireStream,
} from "../backend.ts";
import type { FillItems, FillRows, Items } from "./native-backend.ts";
import type { RequestRing } from "./request-ring.ts";

const Q = SQE.at;
const C = CQE.at;
const COUNTER_BYTES = 8;
const DIGEST_BYTES = 16;

const REASON_TEXT: Readonly<Record<Reason, string>> = {
  none: "",
  closed: "the peer closed the stream without saying goodbye",
  idle: "nothing moved inside a frame for too long",
  socket: "the connection failed",
  memory: "no memory for a frame",
  magic: "what came is no frame",
  crc: "a frame's header is damaged",
  type: "a frame of unknown type",
  field: "a frame with a field that must be 0",
  length: "a frame longer or shorter than its type allows",
  need: "an answer to a need that was not asked for",
  item: "an item out of range, or answered before",
  record: "a record that contradicts its row or itself",
  attributes: "attributes that are malformed",
  archive: "an archive that is not what its records announce",
  order: "a frame out of place",
  data: "content outside of its file or range",
  talks: "the receiving side sent something",
};

export class NativeWire {
  private readonly ring: RequestRing;
  private readonly fill: { readonly rows: FillRows; readonly writes: FillItems };
  private lastStream = 0;

  constructor(ring: RequestRing, fill: { rows: FillRows; writes: FillItems }) {
    this.ring = ring;
    this.fill = fill;
  }

  openStream(fd: number, direction: "send" | "receive", idleMs: number): WireStream {
    const { ring } = this;
    const ours = ring.duplicate(fd);
    if (ours < 0) {
      const ended = Promise.resolve({ status: ours, detail: REASON_TEXT.socket, bytes: 0 });
      return { ended, bytes: () => 0, end: () => {} };
    }
    const id = ++this.lastStream;
    const counter = ring.alloc(COUNTER_BYTES);
    ring.u32.fill(0, counter >> 2, (counter + COUNTER_BYTES) >> 2);
    const at = ring.take(Op.stream);
    const word = at >> 2;
    ring.i32[word + (Q.fd0 >> 2)] = ours;
    ring.u32[word + (Q.flags >> 2)] = Stream[direction];
    ring.u32[word + (Q.extra >> 2)] = id;
    ring.u32[word + (Q.results >> 2)] = counter;
    ring.f64[(at + Q.length) >> 3] = idleMs;
    let total: number | undefined;
    let isEnding = false;
    const ended = ring.send(at, (completion): StreamEnd => {
      total = ring.f64[(completion + C.bytes) >> 3]!;
      ring.free(counter);
      const reason = REASONS[ring.u32[(completion + C.flags) >> 2]!] ?? "none";
      return { status: this.resultOf(completion), detail: REASON_TEXT[reason], bytes: total };
    });
    return {
      ended,
      bytes: () => total ?? ring.counter(counter >> 2),
      end: () => {
        if (isEnding || total !== undefined) return;
        isEnding = true;
        const request = ring.take(Op.streamEnd);
        ring.u32[(request + Q.extra) >> 2] = id;
        void ring.send(request, this.resultOf);
      },
    };
  }

  send(request: SendRequest): Promise<ItemResults> {
    const { ring } = this;
    const { batch, rows, items: itemNumbers } = request;
    const basis = request.purpose === "range" ? request.basis : undefined;
    const more = basis?.digests.length ?? (itemNumbers === undefined ? 0 : itemNumbers.length * 4);
    const { at, items } = this.fill.rows(Op.send, batch, rows, 0, more);
    const word = at >> 2;
    const behind = items.rowsAt + rows.length * 4;
    ring.i32[word + (Q.fd0 >> 2)] = request.source;
    ring.u32[word + (Q.flags >> 2)] = Wire[request.purpose];
    ring.u32[word + (Q.need >> 2)] = request.need;
    ring.u32[word + (Q.options >> 2)] = request.settings.token;
    if (request.purpose === "range") {
      ring.f64[(at + Q.offset) >> 3] = request.offset;
      ring.f64[(at + Q.length) >> 3] = request.length;
      if (basis !== undefined) {
        ring.bytes.set(basis.digests, behind);
        ring.u32[word + (Q.extra >> 2)] = basis.blockBytes;
        ring.u32[word + (Q.path >> 2)] = behind;
        ring.u32[word + (Q.path_bytes >> 2)] = basis.digests.length;
      }
    } else if (itemNumbers !== undefined) {
      ring.u32.set(itemNumbers, behind >> 2);
      ring.u32[word + (Q.extra >> 2)] = behind;
    }
    return this.sendItems(at, items);
  }

  receive(request: ReceiveRequest): Promise<ItemResults> {
    const { at, items } = this.fill.writes(Op.receive, { ...request, source: NO_FD });
    this.ring.u32[(at + Q.need) >> 2] = request.need;
    this.ring.u32[(at + Q.flags) >> 2] = Wire[request.purpose];
    return this.sendItems(at, items);
  }

  receiveRange(
    need: NeedNumber,
    file: LargeFile,
    offset: number,
    length: number,
    settings: PreparedSettings,
  ): Promise<RangeResult> {
    const { ring } = this;
    const at = ring.take(Op.receive);
    const word = at >> 2;
    ring.i32[word + (Q.fd1 >> 2)] = file.temp;
    ring.u32[word + (Q.flags >> 2)] = Wire.range;
    ring.u32[word + (Q.count >> 2)] = 1;
    ring.u32[word + (Q.need >> 2)] = need;
    ring.u32[word + (Q.options >> 2)] = settings.token;
    ring.f64[(at + Q.offset) >> 3] = offset;
    ring.f64[(at + Q.length) >> 3] = length;
    return ring.send(at, (completion) => {
      const status = this.resultOf(completion);
      return {
        status,
        stage: status === 0 ? Stage.none : ring.u32[(completion + C.flags) >> 2]! || Stage.read,
        bytes: ring.f64[(completion + C.bytes) >> 3]!,
        method: ring.u32[(completion + C.method) >> 2]!,
        refused: 0,
      };
    });
  }

  receiveCommit(need: NeedNumber, file: LargeFile, request: LargeRequest): Promise<ItemResults> {
    const { at, items } = this.fill.writes(Op.receive, { ...request, source: NO_FD }, file);
    this.ring.u32[(at + Q.need) >> 2] = need;
    this.ring.u32[(at + Q.flags) >> 2] = Wire.commit;
    return this.sendItems(at, items);
  }

  hashBlocks(file: LargeFile, offset: number, length: number, blockBytes: number): Promise<Uint8Array | number> {
    const { ring } = this;
    const isSane = offset >= 0 && length >= 0 && Number.isSafeInteger(offset + length) && blockBytes > 0;
    if (!isSane || !Number.isSafeInteger(blockBytes)) return Promise.resolve(-E.INVAL);
    const count = Math.ceil(length / blockBytes);
    const digests = ring.alloc(Math.max(1, count * DIGEST_BYTES));
    const at = ring.take(Op.hashBlocks);
    const word = at >> 2;
    ring.i32[word + (Q.fd0 >> 2)] = file.temp;
    ring.u32[word + (Q.extra >> 2)] = blockBytes;
    ring.u32[word + (Q.count >> 2)] = count;
    ring.u32[word + (Q.results >> 2)] = digests;
    ring.f64[(at + Q.offset) >> 3] = offset;
    ring.f64[(at + Q.length) >> 3] = length;
    return ring.send(at, (completion) => {
      const status = this.resultOf(completion);
      const bytes = status < 0 ? status : ring.bytes.slice(digests, digests + count * DIGEST_BYTES);
      ring.free(digests);
      return bytes;
    });
  }

  private readonly resultOf = (completion: number): number => this.ring.i32[(completion + C.result) >> 2]!;

  private sendItems(at: number, items: Items): Promise<ItemResults> {
    return this.ring.send(at, (completion) => items.results.settle(this.resultOf(completion)));
  }
}
