import { dirname } from "node:path";

/** The package's folder, wherever the script was started from. */
export const root = dirname(dirname(import.meta.dir));
