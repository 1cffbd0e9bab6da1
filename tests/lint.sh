#!/bin/sh
# Everything that is judged without running it.
set -eu
unformatted=$(go tool gofumpt -l cmd internal bench)
[ -z "$unformatted" ] || { echo "not formatted (make fmt): $unformatted"; exit 1; }
go vet ./...
GOOS=darwin GOARCH=arm64 go vet ./...
go tool staticcheck ./...
ruff check -q
ruff format -q --check
mypy --no-error-summary
clang-format --dry-run --Werror python/awaitd/_wire/*.[ch]
codespell -q 3 README.md ARCHITECTURE.md CHANGELOG.md docs internal python packaging tests bench examples \
    --skip '*.json,*/testdata/*,*/.venv/*,*/results/*'
