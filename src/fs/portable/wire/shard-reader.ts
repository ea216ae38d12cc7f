/** A shard as it came: everything is checked before anything of it is used. */
import { type Attribute, decodeAttributes } from "../../../core/attribute-blob.ts";
import { FileType } from "../../../core/entry-batch.ts";
import { decodeRecord, type ItemRecord, RECORD_BYTES, refuse } from "../../../core/frames.ts";
import { checkArchiveEnd, readMember } from "../../../core/ustar.ts";
import { typeOf } from "../entry.ts";

export interface ShardItem {
  readonly record: ItemRecord;
  readonly attributes: readonly Attribute[];
  /** A view of the payload; undefined: the item has no member. */
  readonly content: Uint8Array | undefined;
}

/**
 * `nameOf` says what an item's member must be called: the archive's names decide nothing. It throws for an item out of
 * range; undefined: the name is not known any more, and the content will not be used.
 */
export function readShard(
  payload: Uint8Array,
  count: number,
  hasContent: boolean,
  nameOf: (item: number) => Uint8Array | undefined,
): ShardItem[] {
  const records: ItemRecord[] = [];
  for (let i = 0; i < count; i++) records.push(decodeRecord(payload, i * RECORD_BYTES));
  let at = count * RECORD_BYTES;
  const attributes = records.map(({ attributeBytes }) => {
    if (at + attributeBytes > payload.length) refuse("attributes are cut off");
    at += attributeBytes;
    return decodeAttributes(payload.subarray(at - attributeBytes, at));
  });
  let memberCount = 0;
  const items = records.map((record, i): ShardItem => {
    const name = nameOf(record.item);
    const isMember = hasContent && record.status === 0 && typeOf(record.mode) === FileType.regular;
    if (!isMember) return { record, attributes: attributes[i]!, content: undefined };
    const member = readMember(payload, at);
    if (name !== undefined && Buffer.compare(name, member.name) !== 0) refuse("a member with another name");
    if (member.size !== record.size) refuse("a member with another size");
    memberCount++;
    at = member.next;
    const content = payload.subarray(member.contentAt, member.contentAt + member.size);
    return { record, attributes: attributes[i]!, content };
  });
  if (memberCount > 0) checkArchiveEnd(payload, at);
  else if (at !== payload.length) refuse("a shard is longer than what it holds");
  return items;
}
