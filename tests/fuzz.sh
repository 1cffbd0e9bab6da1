#!/bin/sh
# Every native fuzz target, one after another, $1 each.
set -eu
for file in $(grep -rl --include='*_test.go' '^func Fuzz' internal); do
    package=./$(dirname "$file")
    for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$file"); do
        echo "$package $target"
        go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 200x "$package"
    done
done
