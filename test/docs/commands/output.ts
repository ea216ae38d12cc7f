/**
 * Whether a command printed what its document says. A line `...` stands for any lines, `…` inside a line for any text;
 * times, rates and sizes count as equal, and so do spaces at the ends of lines.
 */
export function printsAsStated(stated: string, printed: string): boolean {
  const lines = printed.trimEnd().split("\n").map(steady);
  const parts = stated.trimEnd().split("\n").map(steady);
  return matches(parts, lines);
}

function matches(parts: readonly string[], lines: readonly string[]): boolean {
  const [part, ...rest] = parts;
  if (part === undefined) return lines.length === 0;
  if (part.trim() === "...") {
    for (let skip = 0; skip <= lines.length; skip++) if (matches(rest, lines.slice(skip))) return true;
    return false;
  }
  return lines[0] !== undefined && lineMatches(part, lines[0]) && matches(rest, lines.slice(1));
}

function lineMatches(stated: string, printed: string): boolean {
  const pattern = stated.split("…").map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${pattern.join(".*")}$`).test(printed);
}

/** What differs from run to run, by one word. */
function steady(line: string): string {
  return line
    .trimEnd()
    .replace(/\d+(?:\.\d+)? (?:ns|us|ms|s|min|h)\b/g, "TIME")
    .replace(/\d+(?:\.\d+)? (?:B|bytes|[KMGT]i?B)(?:\/s)?(?![A-Za-z])/g, "SIZE");
}
