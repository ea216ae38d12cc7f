#!/usr/bin/env node
/** `fastsync-utils` as npm installs it: `fastsync utils`. */
process.argv.splice(2, 0, "utils");
await import("./fastsync.mjs");
