/** Text as roff: the few macros of man(7) that both groff and mandoc know, and nothing that either warns about. */

const LINE = 78;

/** Plain text. A dash stays a dash that can be copied where `literal` says that it is part of a command. */
export function escaped(text: string, literal = false): string {
  let out = "";
  for (const character of text) {
    if (character === "\\") out += "\\(rs";
    else if (character === "-" && literal) out += "\\-";
    else if (character === "'" && literal) out += "\\(aq";
    else if (character === "`") out += "\\(ga";
    else if (character === "~") out += "\\(ti";
    else if (character === "^") out += "\\(ha";
    else if (character === "\t") out += " ";
    else if (character >= " " && character <= "~") out += character;
    else out += `\\[u${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`;
  }
  return out;
}

export function bold(text: string): string {
  return `\\fB${escaped(text, true)}\\fR`;
}

export function italic(text: string): string {
  return `\\fI${escaped(text, true)}\\fR`;
}

/** Escaped text as lines of input: none begins as a request does, none is long. */
export function filled(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").filter((part) => part !== "")) {
    if (line !== "" && line.length + 1 + word.length > LINE) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(line);
  return lines.map(guarded);
}

function guarded(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

export function section(title: string): string[] {
  return [`.SH ${title.toUpperCase().replaceAll('"', "")}`];
}

export function subsection(title: string): string[] {
  return [`.SS ${escaped(title)}`];
}

export function paragraph(text: string): string[] {
  return [".PP", ...filled(text)];
}

/** A term, which is not broken, and what is to be said of it. */
export function tagged(term: string, text: string): string[] {
  return [".TP", guarded(term), ...(text === "" ? ["\\&"] : filled(text))];
}

/** Lines as they are. */
export function example(lines: readonly string[]): string[] {
  return [".PP", ".RS 4", ".nf", ...lines.map((line) => guarded(escaped(line, true)) || "\\&"), ".fi", ".RE"];
}

export function listItem(mark: string, text: string): string[] {
  return [`.IP ${mark} 4`, ...filled(text)];
}

export interface Heading {
  readonly name: string;
  readonly section: number;
  readonly date: string;
  readonly source: string;
  readonly manual: string;
}

/** Lines are neither hyphenated nor stretched: what is in them is copied. */
export function heading({ name, section: number, date, source, manual }: Heading): string[] {
  return [`.TH ${name.toUpperCase()} ${number} "${date}" "${source}" "${manual}"`, ".nh", ".ad l"];
}
