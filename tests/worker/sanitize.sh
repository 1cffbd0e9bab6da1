#!/bin/sh
# The worker's tests with AddressSanitizer and UndefinedBehaviorSanitizer: tests/worker/sanitize.sh [python] [pytest arguments]
# The instrumented module is built into a copy of the package, so that no other build is touched.
set -eu
python=${1:-python3}
[ $# -gt 0 ] && shift
root=$(cd "$(dirname "$0")/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$root/python/awaitd" "$copy/awaitd"
rm -f "$copy"/awaitd/_wire*.so
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
cc -std=c11 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -fPIC -shared \
    -fvisibility=hidden -Wall -Wextra -Werror "-I$include" "$copy"/awaitd/_wire/*.c -o "$copy/awaitd/_wire$suffix"
AWAITD_TEST_PYTHONPATH=$copy \
AWAITD_TEST_PRELOAD="$(cc -print-file-name=libasan.so) $(cc -print-file-name=libubsan.so)" \
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:handle_segv=0 \
UBSAN_OPTIONS=print_stacktrace=1 \
PYTHONMALLOC=malloc \
AWAITD_TEST_DEADLINE=60 \
    "$python" -m pytest "$root/tests/worker" -q "$@"
