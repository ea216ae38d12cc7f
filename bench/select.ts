/** What the words of a command line choose. */

/**
 * A word stands for what has exactly this name, or for all whose name begins with it and a hyphen: `net-S` for
 * `net-S-push` and `net-S-pull`. No words: everything. A word that chooses nothing is an error.
 */
export function select<Name extends string>(
  words: readonly string[] | undefined,
  known: readonly Name[],
  what: string,
): readonly Name[] {
  if (words === undefined || words.length === 0) return known;
  const chosen = new Set<Name>();
  for (const word of words) {
    const found = known.filter((name) => name === word || name.startsWith(`${word}-`));
    const exact = found.filter((name) => name === word);
    if (found.length === 0) throw new Error(`no ${what} ${word}; there are ${known.join(", ")}`);
    for (const name of exact.length > 0 ? exact : found) chosen.add(name);
  }
  return known.filter((name) => chosen.has(name));
}
