#!/bin/sh
# Go's tests, shuffled, with the race detector where there is a C compiler for it. $@: packages.
set -eu
if command -v "$(go env CC)" >/dev/null 2>&1; then
    CGO_ENABLED=1 go test -race -shuffle=on -timeout 300s "$@"
    # The detector allocates, so what is said about allocations and memory is tested without it.
    CGO_ENABLED=0 go test -run 'Allocat|IsSmall' -timeout 60s ./internal/web ./internal/dispatch ./internal/http1 \
        ./internal/forwarded ./internal/proxyproto ./internal/cgi ./internal/exchange ./internal/websocket ./internal/smtp
else
    echo "tests: no C compiler, so Go's tests run without the race detector"
    CGO_ENABLED=0 go test -shuffle=on -timeout 300s "$@"
fi
