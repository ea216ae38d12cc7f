/** What the configuration added to a command line, in words. */
export function settingNotes(origins: ReadonlyMap<string, string>): string[] {
  const byOrigin = new Map<string, string[]>();
  for (const [flag, origin] of origins) byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), `--${flag}`]);
  return [...byOrigin].map(([origin, flags]) => `settings: ${flags.join(" ")} (${origin})`);
}
