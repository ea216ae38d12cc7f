#!/usr/bin/env bash
# run.sh TARGET|all [SECONDS]: fuzzes with libFuzzer under ASan and UBSan (needs clang), SECONDS (30) for each target.
# run.sh seeds: writes the seeds of corpus/ anew.
# FSY_FUZZ_OUT: a directory where found inputs and grown corpora stay. FSY_FUZZ_COVERAGE=1: says how much
# was reached, and in unreached.txt there which lines were not.
# The last line is `N passed, N failed`; the exit code is 0 only when nothing was found. An input that was found goes, when
# its cause is mended, into corpus/TARGET, which the C tests run.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ffi=$(dirname "$here")
source "$ffi/flags.sh"
which=${1:?run.sh TARGET|all|seeds [SECONDS]} seconds=${2:-30}
work=$(mktemp -d /tmp/fsy-fuzz.XXXXXX)
export FSY_FUZZ_DIR
FSY_FUZZ_DIR=$(mktemp -d /dev/shm/fsy-fuzz-run.XXXXXX 2>/dev/null || mktemp -d /tmp/fsy-fuzz-run.XXXXXX)
trap 'rm -rf "$work" "$FSY_FUZZ_DIR"' EXIT
targets=("$ffi"/*.c "$here"/*_fuzz.c "$here/targets.c")

if [ "$which" = seeds ]; then
  fsy_flags debug "$ffi" || exit 1
  "$CC" "${FLAGS[@]}" -Wno-conversion "${targets[@]}" "$here/seeds.c" -o "$work/seeds" -lpthread &&
    "$work/seeds" "$here/corpus"
  exit
fi

export CC=${CLANG:-clang}
fsy_flags asan+ubsan "$ffi" || exit 1
[ "${FSY_FUZZ_COVERAGE:-0}" = 0 ] || FLAGS+=(-fprofile-instr-generate -fcoverage-mapping)
"$CC" "${FLAGS[@]}" -Wno-conversion -Wno-sign-conversion -fsanitize=fuzzer "${targets[@]}" "$here/libfuzzer.c" \
  -o "$work/fuzz" -lpthread || { echo "0 passed, 1 failed"; exit 1; }

names=()
for file in "$here"/*_fuzz.c; do
  name=$(basename "$file" _fuzz.c)
  [ "$which" != all ] && [ "$which" != "$name" ] || names+=("$name")
done
[ ${#names[@]} -gt 0 ] || { echo "run.sh: no target $which" >&2; exit 2; }
out=${FSY_FUZZ_OUT:-$work/out} passed=0 failed=0
for name in "${names[@]}"; do
  mkdir -p "$out/$name/found" "$out/$name/corpus"
  export FSY_FUZZ_TARGET=$name LLVM_PROFILE_FILE=$out/$name.profraw
  export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
  if "$work/fuzz" -max_total_time="$seconds" -max_len=60000 -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 \
    -artifact_prefix="$out/$name/found/" "$out/$name/corpus" "$here/corpus/$name" >"$out/$name.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log") runs," \
      "$(sed -n 's/.*\(cov: [0-9]* ft: [0-9]*\).*/\1/p' "$out/$name.log" | tail -1)"
  else
    failed=$((failed + 1))
    echo "FAIL $name: see below; the input in base64, if there is one, reproduces it"
    tail -60 "$out/$name.log"
    for input in "$out/$name/found"/*; do
      [ ! -f "$input" ] || { echo "$(basename "$input"):"; head -c 20000 "$input" | base64; }
    done
  fi
done
if [ "${FSY_FUZZ_COVERAGE:-0}" != 0 ]; then
  version=$("$CC" -dumpversion | cut -d. -f1)
  "llvm-profdata-$version" merge -o "$out/all.profdata" "$out"/*.profraw &&
    "llvm-cov-$version" report "$work/fuzz" -instr-profile="$out/all.profdata" "$ffi"/*.c &&
    "llvm-cov-$version" show "$work/fuzz" -instr-profile="$out/all.profdata" "$ffi"/*.c |
    grep -E '^/|^ +[0-9]+\| +0\|' >"$out/unreached.txt"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
