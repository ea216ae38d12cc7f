#!/usr/bin/env bash
# build.sh [release|debug|asan|ubsan|tsan|faults] [OUTDIR]: libfsy.so into OUTDIR (default ffi/build).
# CC picks the compiler (cc), XXHASH_INCLUDE the folder of xxhash.h (the npm package xxhash-addon by default).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kind=${1:-release} out=${2:-$here/build}
mkdir -p "$out"
source "$here/flags.sh"
fsy_flags "$kind" "$here"
# Into a temporary name first: a running process keeps the library it mapped.
next=$out/.libfsy.$$.so
trap 'rm -f "$next"' EXIT
"$CC" "${FLAGS[@]}" -fPIC -shared -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--no-undefined -Wl,-soname,libfsy.so \
  "$here"/*.c -o "$next" -lpthread
[ "$kind" != release ] || strip --strip-unneeded "$next" 2>/dev/null || true
mv "$next" "$out/libfsy.so"
