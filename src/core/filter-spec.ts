/** What the user said about selecting files, as text and numbers that can cross a wire; `src/filter` compiles it. */

export interface FilterSpec {
  /** rsync filter rules in their order, one a line, in bytes: `- *.o`, `+ /src/***`, `:C`, `. FILE` already read in. */
  readonly rules: readonly FilterRuleText[];
  /** Exactly these paths and their parents (--files-from), relative, cleaned; undefined: everything. */
  readonly filesFrom: readonly Uint8Array[] | undefined;
  /** Obey .gitignore files as git does. */
  readonly gitignore: boolean;
  readonly minSize: number | undefined;
  readonly maxSize: number | undefined;
  /** Seconds since 1970; files modified before are left out (--max-age). */
  readonly modifiedAfter: number | undefined;
  /** Seconds since 1970; files modified after are left out (--min-age). */
  readonly modifiedBefore: number | undefined;
}

export interface FilterRuleText {
  readonly text: Uint8Array;
  /** Where it was written, for messages: `--exclude` or `FILE:LINE`. */
  readonly origin: string;
}

export const NO_FILTER: FilterSpec = {
  rules: [],
  filesFrom: undefined,
  gitignore: false,
  minSize: undefined,
  maxSize: undefined,
  modifiedAfter: undefined,
  modifiedBefore: undefined,
};
