/** Rules of a run by root without any option, and what a test changes of them. */
import type { CompareRules, TimeRange } from "../../src/compare/rules.ts";
import type { CompareOptions, PreserveOptions } from "../../src/core/options.ts";

export interface RulesOver {
  readonly options?: Partial<CompareOptions>;
  readonly preserve?: Partial<PreserveOptions>;
  readonly windowNs?: number;
  readonly times?: TimeRange;
  readonly mayChown?: boolean;
  readonly groups?: readonly number[];
  readonly deletes?: boolean;
}

export function compareRules({ options, preserve, groups = [], ...rest }: RulesOver = {}): CompareRules {
  return {
    options: {
      checksum: false,
      sizeOnly: false,
      ignoreTimes: false,
      modifyWindowNs: 0,
      ignoreExisting: false,
      existing: false,
      update: false,
      ...options,
    },
    preserve: {
      perms: true,
      times: true,
      dirTimes: true,
      owner: true,
      group: true,
      xattrs: true,
      acls: true,
      hardLinks: true,
      specials: true,
      sparse: true,
      numericIds: true,
      chownUid: undefined,
      chownGid: undefined,
      userMap: [],
      groupMap: [],
      ...preserve,
    },
    windowNs: 0,
    mayChown: true,
    deletes: false,
    ...rest,
    groups: new Set(groups),
  };
}
