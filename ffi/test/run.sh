#!/usr/bin/env bash
# run.sh [plain|asan|tsan|all] [FILTER]: builds the library's sources with the tests and runs them.
# FSY_TEST_DIR: where (default: a fresh XFS in RAM when root and rambed are there, else /tmp).
# RAMBED: the tool that makes filesystems in RAM.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ffi=$(dirname "$here")
source "$ffi/flags.sh"
which=${1:-plain} filter=${2:-}
case "$which" in all) kinds="plain asan tsan" ;; *) kinds=$which ;; esac
build=$(mktemp -d /tmp/fsy-test.XXXXXX)
made=
RAMBED=${RAMBED:-/work/shared/tools/rambed}
if [ -z "${FSY_TEST_DIR:-}" ] && [ "$(id -u)" = 0 ] && [ -x "$RAMBED" ]; then
  made=$("$RAMBED" up "${FSY_TEST_FS:-xfs}" 1500M) && export FSY_TEST_DIR=$made
fi
trap '[ -z "$made" ] || "$RAMBED" down "$made"; rm -rf "$build"' EXIT
status=0
for kind in $kinds; do
  case "$kind" in
    plain) flavour=faults ;;
    asan) flavour=asan+ubsan ;;
    tsan) flavour=tsan ;;
    *) echo "run.sh: unknown kind $kind" >&2; exit 1 ;;
  esac
  fsy_flags "$flavour" "$ffi" || exit 1
  [ "$kind" = plain ] || FLAGS+=(-DFSY_FAULTS)
  "$CC" "${FLAGS[@]}" -Wno-conversion -DFSY_FUZZ_CORPUS="\"$ffi/fuzz/corpus\"" \
    "$ffi"/*.c "$here"/*.c "$ffi"/fuzz/*_fuzz.c "$ffi/fuzz/targets.c" -o "$build/$kind" -lpthread || { status=1; continue; }
  echo "== $kind ($CC) on ${FSY_TEST_DIR:-/tmp}"
  TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=0:exitcode=66} ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} \
    "$build/$kind" $filter || status=1
done
exit $status
