/**
 * The Markdown of docs/ as roff, so that a man page says what the document says: headings, paragraphs, lists, code,
 * tables. A table becomes a list of its first column; a terminal has no room for more. Throws at what it does not know.
 */
import { bold, escaped, example, italic, listItem, paragraph, section, subsection, tagged } from "./roff.ts";

export interface Part {
  /** Of the level 2 heading; empty: what stands before the first. */
  readonly title: string;
  readonly lines: readonly string[];
}

/** The document by its level 2 headings. */
export function partsOf(markdown: string): Part[] {
  const parts: { title: string; lines: string[] }[] = [{ title: "", lines: [] }];
  let fenced = false;
  for (const line of markdown.split("\n")) {
    if (line.startsWith("```")) fenced = !fenced;
    if (!fenced && line.startsWith("# ")) continue;
    if (!fenced && line.startsWith("## ")) parts.push({ title: line.slice(3), lines: [] });
    else parts.at(-1)!.lines.push(line);
  }
  return parts;
}

export function partAsSection(part: Part): string[] {
  return [...section(part.title), ...bodyOf(part.lines)];
}

export function bodyOf(lines: readonly string[]): string[] {
  const out: string[] = [];
  let at = 0;
  const take = (fits: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && fits(lines[at]!)) at++;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at]!;
    if (line.trim() === "") at++;
    else if (line.startsWith("```")) {
      at++;
      out.push(...example(take((one) => !one.startsWith("```"))));
      at++;
    } else if (/^#{3,4} /.test(line)) {
      const title = line.replace(/^#+ /, "");
      out.push(...subsection(title.replaceAll("`", "")));
      at++;
    } else if (line.startsWith("    "))
      out.push(...example(take((one) => one.startsWith("    ")).map((one) => one.slice(4))));
    else if (line.startsWith("|")) out.push(...table(take((one) => one.startsWith("|"))));
    else if (/^(-|\d+\.) /.test(line)) {
      const mark = line.startsWith("-") ? "\\(bu" : line.slice(0, line.indexOf(" "));
      const first = line.slice(line.indexOf(" ") + 1);
      at++;
      out.push(
        ...listItem(mark, inline([first, ...take((one) => /^ {2,}\S/.test(one)).map((one) => one.trim())].join(" "))),
      );
    } else
      out.push(...paragraph(inline(take((one) => one.trim() !== "" && !/^(```|#|\||- |\d+\. )/.test(one)).join(" "))));
  }
  return out;
}

function table(rows: readonly string[]): string[] {
  const [head = [], , ...body] = rows.map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return body.flatMap(([term = "", ...cells]) => {
    const shown = cells.map((cell, index) => {
      const title = head[index + 1] ?? "";
      return title === "" || index === cells.length - 1 || cell === "" ? cell : `${title}: ${cell}.`;
    });
    return tagged(inline(term), inline(shown.filter((cell) => cell !== "").join(" ")));
  });
}

const LINK = /\[([^\]]*)\]\(([^)]*)\)/g;

/** Of a link that is the name of a document: where that is in the sources. */
function linkText(_: string, text: string, target: string): string {
  return text === target && target.endsWith(".md") ? `docs/${target}` : text;
}

/** Code and strong text in bold, emphasis in italics, of links their text. */
export function inline(text: string): string {
  let out = "";
  for (const [piece] of text.replace(LINK, linkText).matchAll(/`[^`]*`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|[^`*]+|[`*]/g)) {
    if (piece.length > 2 && piece.startsWith("`")) out += bold(piece.slice(1, -1).replaceAll("\\|", "|"));
    else if (piece.length > 4 && piece.startsWith("**"))
      out += `\\fB${escaped(piece.slice(2, -2).replaceAll("`", ""))}\\fR`;
    else if (piece.length > 2 && piece.startsWith("*")) out += italic(piece.slice(1, -1));
    else out += escaped(piece);
  }
  return out;
}
