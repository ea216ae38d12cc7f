/** For `build.ts`: puts a library file into the compiled binary by replacing `embedded.ts`. Not used at run time. */
import type { BunPlugin } from "bun";

/** `libraryPath`: absolute path of the library that was built for the target. */
export function embeddedLibraryPlugin(libraryPath: string): BunPlugin {
  return {
    name: "fastsync-embedded-library",
    setup(build) {
      build.onLoad({ filter: /[\\/]ffi[\\/]embedded\.ts$/ }, () => ({
        loader: "ts",
        contents: `import library from ${JSON.stringify(libraryPath)} with { type: "file" };
export const embeddedLibrary: string | undefined = library;
`,
      }));
    },
  };
}
