/** What continues a word that names a place behind a daemon. */
import { listModules, RemoteCalls } from "../../admin/remote.ts";
import { bytesOf, utf8Of } from "../../core/paths.ts";
import type { DaemonEndpoint } from "../../endpoints/parse.ts";
import type { Remote } from "../settings/load.ts";
import { placeOf } from "../settings/of-run.ts";
import { argumentOf } from "../words/raw-args.ts";

/** For the connection and the answer. */
const PATIENCE_MS = 1000;
const NAMES_MOST = 1000;

/**
 * Whole words; directories and modules end with a slash. Throws where the word is no such place, or nothing answers in
 * time. A URL is not continued: its names would have to be escaped.
 */
export async function remotePaths(word: string, remotes: ReadonlyMap<string, Remote>): Promise<string[]> {
  if (/^fastsync:\/\//i.test(word)) return [];
  const signal = AbortSignal.timeout(PATIENCE_MS);
  // What stands after the last slash, or, of a remote's name without one, after the colon.
  const tail = word.slice((word.includes("/") ? word.lastIndexOf("/") : word.indexOf(":")) + 1);
  const head = word.slice(0, word.length - tail.length);
  if (head.endsWith(":/")) return await modules(head, tail, signal);
  const place = placeOf(argumentOf(head), remotes);
  if (place.kind !== "daemon") return [];
  const { names } = await new RemoteCalls(place, place.module, signal).complete(pathIn(place, tail), {
    limit: NAMES_MOST,
    directoriesOnly: false,
  });
  return names.flatMap((name) => {
    const text = utf8Of(name);
    return text === undefined ? [] : [head + text];
  });
}

/** `HOST:/` and the beginning of a module's name. */
async function modules(head: string, tail: string, signal: AbortSignal): Promise<string[]> {
  const place = placeOf(argumentOf(`${head}any/`), new Map());
  if (place.kind !== "daemon") return [];
  const found = await listModules(place, signal);
  return found.filter(({ available, name }) => available && name.startsWith(tail)).map(({ name }) => `${head}${name}/`);
}

/** The directory that `head` names is what the endpoint says, whether or not that ends with a slash. */
function pathIn({ path }: DaemonEndpoint, tail: string): Uint8Array {
  const slash = path.length === 0 || path.at(-1) === 0x2f ? [] : [0x2f];
  return Uint8Array.from([...path, ...slash, ...bytesOf(tail)]);
}
