#!/bin/sh
# Installs Debian packages that tests need, if they are missing and we are root. Without them the tests that need them are
# skipped, each with one line that names the package; with CI=true they fail.
missing=""
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086 # the list is meant to be split
    # RUNLEVEL=1 keeps what is installed from being started as a service (invoke-rc.d(8)).
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing >/dev/null
else
    echo "tests: not installed, and only root can:$missing"
fi
