/** A stretch of one file's content, as a target asks a source in another process for it. */
export interface ContentRange {
  readonly offset: number;
  readonly length: number;
  /** XXH3-128 of each `blockBytes` that the target has of the stretch: only blocks that differ are wanted. */
  readonly basis?: { readonly blockBytes: number; readonly digests: Uint8Array };
}
