/** One rule of `--usermap` or `--groupmap`: whom it is about, and which number they get in the target. */

export type OwnerSubject =
  | { readonly kind: "everybody" }
  /** Numbers that have no name where they come from. */
  | { readonly kind: "nameless" }
  /** A name there, in bytes; with `*`, `?` and `[]` a pattern. */
  | { readonly kind: "name"; readonly name: Uint8Array }
  /** Numbers there, both ends included. */
  | { readonly kind: "ids"; readonly first: number; readonly last: number };

export interface OwnerRule {
  readonly from: OwnerSubject;
  readonly to: number;
}
