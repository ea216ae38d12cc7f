#!/usr/bin/env bash
# run.sh [SECONDS]: fuzzes the receiver with libFuzzer under ASan and UBSan (needs clang), starting from an honest session.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ffi=$(dirname "$here")
source "$ffi/flags.sh"
CC=${CLANG:-clang}
fsy_flags asan+ubsan "$ffi"
build=$(mktemp -d /tmp/fsy-fuzz.XXXXXX)
trap 'rm -rf "$build" /dev/shm/fsy-fuzz.*' EXIT
mkdir "$build/corpus"
"$CC" "${FLAGS[@]}" -Wno-conversion -Wno-sign-conversion -fsanitize=fuzzer "$ffi"/*.c "$here/receive_fuzz.c" \
  -o "$build/fuzz" -lpthread
cp "$here"/corpus/* "$build/corpus/" 2>/dev/null || true
cd "$build"
ASAN_OPTIONS=detect_leaks=0 ./fuzz -max_total_time="${1:-30}" -max_len=60000 -timeout=10 -rss_limit_mb=3000 corpus 2>&1 |
  grep -E "^(#[0-9]+.*(INITED|DONE)|==|SUMMARY|.*ERROR|Done|.*runs)" || true
