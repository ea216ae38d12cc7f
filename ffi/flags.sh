# Compiler flags by kind of build; sourced by build.sh and test/run.sh. Sets CC and the array FLAGS.
fsy_flags() {
  local kind=$1 here=$2 include
  CC=${CC:-cc}
  for include in "${XXHASH_INCLUDE:-}" "$here/../node_modules/xxhash-addon/xxHash"; do
    [ -z "$include" ] || [ ! -f "$include/xxhash.h" ] || break
  done
  [ -f "$include/xxhash.h" ] || { echo "build.sh: xxhash.h not found; set XXHASH_INCLUDE" >&2; return 1; }
  FLAGS=(-std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Wall -Wextra -Wconversion -Wshadow -Werror -fvisibility=hidden
    -isystem "$include" -I"$here")
  case "$kind" in
    release) FLAGS+=(-O2 -fno-plt) ;;
    debug) FLAGS+=(-O0 -g -DFSY_DEBUG) ;;
    faults) FLAGS+=(-O1 -g -DFSY_FAULTS) ;;
    asan) FLAGS+=(-O1 -g -DFSY_DEBUG -fsanitize=address -fno-omit-frame-pointer) ;;
    ubsan) FLAGS+=(-O1 -g -DFSY_DEBUG -fsanitize=undefined -fno-sanitize-recover=undefined) ;;
    asan+ubsan) FLAGS+=(-O1 -g -DFSY_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer) ;;
    tsan) FLAGS+=(-O1 -g -fsanitize=thread) ;;
    *) echo "build.sh: unknown kind $kind" >&2; return 1 ;;
  esac
}
