# Two commands do all the set-up on a fresh machine: `make run` and `make test`. They need Python 3.11 or newer with its headers,
# and make; Go and a C compiler come from PyPI where the machine has none.

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export GOFLAGS := -buildvcs=false
BOARD_PORT ?= 8000
TERMINAL_PORT ?= $(shell expr $(BOARD_PORT) + 1)
MAIL_PORT ?= $(shell expr $(BOARD_PORT) + 25)
METER_PORT ?= $(shell expr $(BOARD_PORT) + 26)

.PHONY: run test unit e2e fault frameworks conformance suites fuzz bench lint fmt gen wheel smoke pythons clean ci develop

run: .venv/board develop  ## serve the example application on http://127.0.0.1:8000
	awaitd main:app --app-dir examples/board --bind 127.0.0.1:$(BOARD_PORT) \
		--bind tcp://127.0.0.1:$(TERMINAL_PORT)=main:terminal --bind smtp://127.0.0.1:$(MAIL_PORT)=main:letters \
		--bind udp://127.0.0.1:$(METER_PORT)=main:meter

test: unit e2e frameworks  ## all tests

unit: .venv/test develop  ## Go's tests, the accelerator's, the build's
	tests/go.sh ./...
	python -m pytest -q tests/worker tests/packaging tests/launch
	python -m pytest -q bench/tests

e2e: .venv/test develop  ## the real binary with real workers and a browser; FAULT_ROUNDS=10: ten storms, ten seeds
	tests/debian.sh chromium chromium-driver netcat-openbsd nginx openssl postfix postgresql redis-server swaks libnet-ssleay-perl
	python -m pytest -q tests/http tests/streams tests/tls tests/websocket tests/tornado tests/process tests/listen tests/run tests/proxies tests/databases tests/client tests/e2e

fault: .venv/test develop  ## workers that die, stop and hang under load, FAULT_SECONDS long, FAULT_ROUNDS times
	FAULT_SECONDS=$(or $(FAULT_SECONDS),60) python -m pytest -q -s tests/process/test_fault.py

frameworks: .venv/test develop  ## the same assertions over 18 frameworks, in an environment of their own
	python -m pytest -q tests/frameworks

conformance: .venv/test develop  ## what must be true of HTTP/1.1 and ASGI, line by line
	tests/debian.sh chromium chromium-driver
	python tests/conformance.py

suites: develop  ## tests of seven public projects, through the server; SUITES=httpx takes one
	python tests/suites/run.py $(SUITES)

fuzz: develop  ## every fuzz target, FUZZTIME each
	tests/fuzz.sh $(or $(FUZZTIME),30s)

bench: .venv/test develop  ## the table of docs/, one run; see bench/README.md
	python bench/run.py $(BENCH)

lint: .venv/test develop
	tests/lint.sh

fmt: .venv/test develop
	go tool gofumpt -w cmd internal bench && ruff format -q && clang-format -i python/awaitd/_wire/*.[ch]

gen: develop  ## pages and scripts that come from the settings table
	go generate ./...

wheel: .venv/test  ## a wheel for this Python, in dist/
	rm -rf dist && python -m pip wheel -q --no-deps -w dist .

smoke: wheel  ## the wheel, installed where there is no compiler and no Go
	python packaging/smoke.py dist/*.whl

pythons: .venv/test  ## the worker's tests under every Python that can be had
	python packaging/pythons.py

clean:
	rm -rf .venv build dist bin python/awaitd/*.so bench/.venv tests/frameworks/.venv

ci: lint test smoke

develop: .venv/base
	python packaging/develop.py

.venv/base:
	python3 -m venv .venv && touch $@

.venv/board: .venv/base examples/board/requirements.txt
	python -m pip install -q --disable-pip-version-check -r examples/board/requirements.txt && touch $@

.venv/test: .venv/base tests/requirements.txt tests/worker-requirements.txt examples/board/requirements.txt \
		examples/board/requirements-databases.txt
	python -m pip install -q --disable-pip-version-check -r tests/requirements.txt && touch $@
