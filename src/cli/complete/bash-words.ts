/**
 * Words as they stand on a line of bash. The shell hands them over with their quotes, and replaces only what follows
 * the last of its own word breaks: a colon parts words for it, and places behind a daemon are full of colons.
 */

/** What cannot stand in a word of bash as it is. */
const SPECIAL = /[^A-Za-z0-9_./:=,@%+^\u0080-\u{10ffff}-]/gu;

export interface BashWord {
  /** Without quotes and backslashes. */
  readonly text: string;
  /** How much of `text` stands before what bash will replace. */
  readonly kept: number;
  /** The quote that is open at the end. */
  readonly quote: "'" | '"' | undefined;
}

/** `breaks`: the shell's COMP_WORDBREAKS. */
export function readBashWord(raw: string, breaks: string): BashWord {
  let text = "";
  let kept = 0;
  let quote: BashWord["quote"];
  for (let at = 0; at < raw.length; at++) {
    const character = raw[at]!;
    const next = raw[at + 1];
    if (quote === "'") {
      if (character === "'") quote = undefined;
      else text += character;
    } else if (character === "\\" && next !== undefined && (quote === undefined || '$`"\\'.includes(next))) {
      text += next;
      at++;
    } else if (quote === '"') {
      if (character === '"') quote = undefined;
      else text += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      // What is inside of quotes is replaced from the quote on.
      kept = text.length;
    } else {
      text += character;
      if (breaks.includes(character)) kept = text.length;
    }
  }
  return { text, kept, quote };
}

/** The part of `value` that bash puts in the place of the word, quoted as the word is; undefined: it cannot be. */
export function writeBashWord(value: string, { kept, quote }: BashWord): string | undefined {
  const part = value.slice(kept);
  if (quote === "'") return part.includes("'") ? undefined : part;
  if (quote === '"') return part.replace(/[$`"\\]/g, "\\$&");
  return part.replace(SPECIAL, "\\$&");
}
