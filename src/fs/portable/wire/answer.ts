/**
 * Answers one request of the queue over one stream:
 *
 *   small items    collected in a shard, which is sent when it is full and at the end
 *   a larger file  FILE, DATA.., END; read once more (END with AGAIN) when it changed meanwhile
 *   a range        DATA.., END
 *   a commit       a shard of one record
 *
 * What fails is an item with a status. Only a broken stream ends the work.
 */
import { Stage } from "../../../../ffi/fsy.ts";
import { FileType, RowFlag } from "../../../core/entry-batch.ts";
import { FRAME_LIMITS, RecordFlag } from "../../../core/frames.ts";
import { METHOD_STREAM, NO_HANDLE } from "../../backend.ts";
import { attributesAt, mayHaveAttributes, wantsAttributes } from "../attributes.ts";
import { readFull } from "../copy-data.ts";
import { sourceAttributes } from "../copy-entry.ts";
import { below, closeHandle } from "../directories.ts";
import { type Entry, entryOfStat, typeOf } from "../entry.ts";
import { E, StatusError, statusOf } from "../errno.ts";
import { Item } from "../item-results.ts";
import { type Job, openJob } from "../job.ts";
import { openUnchanged } from "../large-file.ts";
import { attributesOfOpen, openSource, Reading } from "../local-content.ts";
import { entryAt, rowOf } from "../rows.ts";
import type { Slices } from "../slices.ts";
import { Xxh3_128 } from "../xxh3-128.ts";
import type { Channel } from "./channel.ts";
import {
  failureOf,
  type Gathered,
  gatherAttributes,
  NOTHING_GATHERED,
  recordOf,
  sendEnd,
  sendFile,
} from "./outgoing.ts";
import type { SendTask } from "./send-queue.ts";
import { checkBasis, type Outlet, sendDifferences, sendStretch } from "./send-stretch.ts";
import { ShardWriter } from "./shard-writer.ts";

/** One row of the request at hand. */
interface Row {
  readonly job: Job;
  readonly task: SendTask;
  readonly index: number;
  /** The item that it is for the target. */
  readonly number: number;
  readonly item: Item;
}

export class Answerer {
  private readonly channel: Channel;
  private readonly slices: Slices;
  private readonly shard = new ShardWriter();
  /** Rows in the shard; they count as sent when it is. */
  private inShard: Row[] = [];

  constructor(channel: Channel, slices: Slices) {
    this.channel = channel;
    this.slices = slices;
  }

  /** Throws when the stream ends. */
  async answer(task: SendTask): Promise<void> {
    const { request } = task;
    const job = openJob(this.slices, request.settings.settings, { source: request.source, target: NO_HANDLE });
    this.inShard = [];
    for (let index = 0; index < request.rows.length; index++) {
      const row: Row = { job, task, index, number: task.number(index), item: new Item() };
      await this.answerRow(row);
      if (this.shard.isFull) await this.flush(task);
    }
    await this.flush(task);
    task.settle(0);
  }

  private async answerRow(row: Row): Promise<void> {
    const { task, item } = row;
    const { purpose } = task.request;
    item.doing = Stage.openSource;
    try {
      if (task.canceled) throw new StatusError(-E.ECANCELED);
      if (this.slices.isDue) await this.slices.breathe();
      if (task.canceled) throw new StatusError(-E.ECANCELED);
      const { entry } = entryAt(task.request, rowOf(task.request, row.index), purpose === "attributes");
      item.size = entry.size;
      if (purpose === "content") await this.answerContent(row, entry);
      else if (purpose === "attributes") await this.answerAttributes(row, entry);
      else if (purpose === "commit") this.answerCommit(row, entry);
      else await this.answerRange(row, entry);
    } catch (error) {
      // The streams' own errors have no errno: they go on from here.
      const status = statusOf(error);
      item.status = status;
      if (purpose === "range") await this.end(row, failureOf(row.number, item, status));
      else {
        this.shard.add(failureOf(row.number, item, status), new Uint8Array(0));
        this.inShard.push(row);
      }
    }
  }

  private async flush(task: SendTask): Promise<void> {
    if (this.shard.isEmpty) return;
    for (const piece of this.shard.close(task.request.need)) await this.channel.write(piece);
    for (const { item, index } of this.inShard.splice(0)) {
      if (item.status === 0) item.doing = 0;
      task.set(index, item);
    }
  }

  private async end(row: Row, record: Parameters<typeof sendEnd>[2]): Promise<void> {
    await sendEnd(this.channel, row.task.request.need, record);
    if (row.item.status === 0) row.item.doing = 0;
    else row.item.bytes = 0;
    row.task.set(row.index, row.item);
  }

  private async answerContent(row: Row, entry: Entry): Promise<void> {
    const { job, item } = row;
    const type = typeOf(entry.mode);
    if (type === FileType.regular) return this.answerRegular(row, entry);
    if (type === FileType.directory) throw new StatusError(-E.EISDIR);
    if (type === 0) throw new StatusError(entry.status || -E.EINVAL);
    const mayHave = wantsAttributes(job.wanted) && mayHaveAttributes(entry);
    const carrier = { path: below(job.source, entry.name), follow: false };
    await this.addOrSend(row, entry, mayHave ? gatherAttributes(job, attributesAt(carrier), item) : NOTHING_GATHERED);
  }

  private async answerAttributes(row: Row, entry: Entry): Promise<void> {
    const { job, item } = row;
    if (!wantsAttributes(job.wanted)) return this.addOrSend(row, entry, NOTHING_GATHERED);
    const source = sourceAttributes(job, entry, isSelf(row), item);
    await this.addOrSend(row, entry, gatherAttributes(job, source, item));
  }

  private answerCommit(row: Row, entry: Entry): void {
    const { job, item, number } = row;
    let fresh: Entry | undefined;
    let fd: number;
    try {
      fd = openUnchanged(job, entry, item, (stats) => {
        if (typeOf(stats.mode) === FileType.regular) fresh = this.renew(row, entry, entryOfStat(entry.name, stats));
      });
    } catch (error) {
      if (fresh === undefined) throw error;
      item.status = statusOf(error);
      const { size, mtimeSec, mtimeNsec, mode, uid, gid } = fresh;
      const record = { ...failureOf(number, item, item.status), size, mtimeSec, mtimeNsec, mode, uid, gid };
      this.shard.add(record, new Uint8Array(0));
      this.inShard.push(row);
      return;
    }
    try {
      const attributes = this.attributesOf(row, fd, entry);
      this.shard.add(recordOf(row.number, entry, item, attributes, undefined), attributes.bytes);
      this.inShard.push(row);
    } finally {
      closeHandle(fd);
    }
  }

  /** Both sides go on with what the file is now: the target may ask for it once more. */
  private renew({ job, task, index, item }: Row, old: Entry, now: Entry): Entry {
    const kept = old.flags & ~RowFlag.sparse;
    const flags = now.flags | kept | (wantsAttributes(job.wanted) ? RowFlag.attrFailed : 0);
    const { name: _name, linkText: _text, attrLow: _low, attrHigh: _high, ...fields } = { ...now, flags };
    task.request.batch.renew(rowOf(task.request, index).row, fields);
    item.size = now.size;
    return now;
  }

  /** An item without content. */
  private async addOrSend(row: Row, entry: Entry, attributes: Gathered): Promise<void> {
    const record = recordOf(row.number, entry, row.item, attributes, undefined);
    if (attributes.bytes.length <= FRAME_LIMITS.shardAttributeBytes) {
      this.shard.add(record, attributes.bytes);
      this.inShard.push(row);
      return;
    }
    await this.flush(row.task);
    await sendFile(this.channel, row.task.request.need, record, attributes.bytes);
    await this.end(row, { ...record, attributeBytes: 0 });
  }

  private attributesOf({ job, item }: Row, fd: number, want: Entry): Gathered {
    if (!wantsAttributes(job.wanted) || !mayHaveAttributes(want)) return NOTHING_GATHERED;
    return gatherAttributes(job, attributesOfOpen(fd), item);
  }

  private async answerRegular(row: Row, entry: Entry): Promise<void> {
    const { job, item } = row;
    const reading = new Reading(openSource(job, entry.name), entry);
    try {
      item.method = METHOD_STREAM;
      for (;;) {
        item.doing = Stage.read;
        const { want } = reading;
        const attributes = this.attributesOf(row, reading.fd, want);
        const isSmall =
          want.size < FRAME_LIMITS.shardFileBytes && attributes.bytes.length <= FRAME_LIMITS.shardAttributeBytes;
        if (!isSmall) return await this.answerFile(row, reading, attributes);
        await this.slices.pace(want.size);
        const content = this.shard.room(want.name, want.size);
        const isWhole = readFull(reading.fd, content, 0) === want.size;
        if (!reading.settle(job, isWhole, item)) continue;
        const hash = job.settings.verify === "none" ? undefined : new Xxh3_128().update(content).digest();
        item.bytes = want.size;
        this.shard.addMember(want.name, recordOf(row.number, want, item, attributes, hash), attributes.bytes);
        this.inShard.push(row);
        return;
      }
    } finally {
      closeHandle(reading.fd);
    }
  }

  /** FILE .. END; its failures are its own END. */
  private async answerFile(row: Row, reading: Reading, early: Gathered): Promise<void> {
    const { job, task, item, number } = row;
    const { need } = task.request;
    await this.flush(task);
    for (let attributes = early; ; attributes = this.attributesOf(row, reading.fd, reading.want)) {
      const { want } = reading;
      item.bytes = 0;
      await sendFile(this.channel, need, recordOf(number, want, item, attributes, undefined), attributes.bytes);
      const hash = job.settings.verify === "none" ? undefined : new Xxh3_128();
      try {
        item.doing = Stage.read;
        const outlet = this.outletOf(row, reading.fd, hash);
        const isWhole = await sendStretch(outlet, 0, want.size, job.settings.sparse && isSparse(want));
        if (reading.settle(job, isWhole, item)) {
          const record = recordOf(number, want, item, NOTHING_GATHERED, hash?.digest());
          return await this.end(row, record);
        }
      } catch (error) {
        item.status = statusOf(error);
        return await this.end(row, failureOf(number, item, item.status));
      }
      const again = recordOf(number, want, item, NOTHING_GATHERED, undefined);
      await sendEnd(this.channel, need, { ...again, flags: RecordFlag.again });
    }
  }

  private async answerRange(row: Row, entry: Entry): Promise<void> {
    const { job, task, item } = row;
    const { request } = task;
    if (request.purpose !== "range") return;
    const { offset, length, basis } = request;
    item.doing = Stage.read;
    const isWithin = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!isWithin || offset + length > entry.size) throw new StatusError(-E.EINVAL);
    if (basis !== undefined) checkBasis(basis, length);
    const fd = openUnchanged(job, entry, item);
    try {
      const hash = job.settings.verify === "none" ? undefined : new Xxh3_128();
      const outlet = this.outletOf(row, fd, hash);
      const isWhole =
        basis === undefined
          ? await sendStretch(outlet, offset, length, job.settings.sparse && isSparse(entry))
          : await sendDifferences(outlet, offset, length, basis);
      // Shorter than it was: the commit would refuse it anyway.
      if (!isWhole) throw new StatusError(-E.EBUSY);
      item.method = METHOD_STREAM;
      await this.end(row, recordOf(row.number, entry, item, NOTHING_GATHERED, hash?.digest()));
    } finally {
      closeHandle(fd);
    }
  }

  private outletOf({ task, item, number }: Row, fd: number, hash: Xxh3_128 | undefined): Outlet {
    return { channel: this.channel, slices: this.slices, task, item, number, fd, hash };
  }
}

function isSparse(entry: Entry): boolean {
  return (entry.flags & RowFlag.sparse) !== 0;
}
function isSelf({ task, index }: Row): boolean {
  return rowOf(task.request, index).row === task.request.batch.count;
}
