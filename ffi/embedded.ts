/**
 * The native library inside a compiled binary: a path that `node:fs` can read, or undefined when running from sources.
 * `build.ts` replaces this module by one that imports `./build/libfsy.so` with { type: "file" }, see
 * `embeddedLibraryPlugin`; an import here would break every run before the first build.
 */
export const embeddedLibrary: string | undefined = undefined;
