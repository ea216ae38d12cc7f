/** Reads what `bun test --reporter=junit` writes: suites for files and groups, cases for tests. */

export type State = "passed" | "failed" | "skipped";

export interface Outcome {
  /** From the root of the repository. */
  readonly file: string;
  /** The titles of the groups around it, and its own as the last. */
  readonly titles: readonly string[];
  readonly state: State;
}

const TAG = /<(\/?)(testsuites?|testcase|skipped|failure|error)\b((?:\s+[\w:.-]+\s*=\s*"[^"]*")*)\s*(\/?)>/g;

/** Every test of a report, in its order. */
export function readJunit(xml: string): Outcome[] {
  const outcomes: Outcome[] = [];
  const suites: { readonly name: string; readonly file: string }[] = [];
  let open: { titles: string[]; file: string; state: State } | undefined;
  const close = (): void => {
    if (open !== undefined) outcomes.push(open);
    open = undefined;
  };
  for (const [, closes, tag, attributes = "", isEmpty] of xml.matchAll(TAG)) {
    const value = (name: string): string => attributeOf(attributes, name);
    if (tag === "testcase") {
      if (closes !== "") close();
      else {
        open = { titles: titlesOf(suites, value("name")), file: value("file") || fileOf(suites), state: "passed" };
        if (isEmpty !== "") close();
      }
    } else if (tag === "testsuite") {
      if (closes !== "") suites.pop();
      else if (isEmpty === "") suites.push({ name: value("name"), file: value("file") });
    } else if (open !== undefined && tag === "skipped") open.state = "skipped";
    else if (open !== undefined && (tag === "failure" || tag === "error")) open.state = "failed";
  }
  return outcomes;
}

/** The outermost suite is the file. */
function titlesOf(suites: readonly { name: string }[], own: string): string[] {
  return [...suites.slice(1).map(({ name }) => name), own];
}

function fileOf(suites: readonly { name: string; file: string }[]): string {
  return suites.findLast(({ file }) => file !== "")?.file ?? suites[0]?.name ?? "";
}

function attributeOf(attributes: string, name: string): string {
  const found = new RegExp(`(?:^|\\s)${name}\\s*=\\s*"([^"]*)"`).exec(attributes);
  return unescapeXml(found?.[1] ?? "");
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return NAMED[name] ?? whole;
  });
}
