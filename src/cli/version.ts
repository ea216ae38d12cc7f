/** The version, from the one place that npm reads too. */
import manifest from "../../package.json" with { type: "json" };

export const VERSION: string = manifest.version;
