# NES: "make help" lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV    := .venv
PYTHON3 ?= python3
export NES_PYTHON ?= $(CURDIR)/$(VENV)/bin/python
export PATH := $(CURDIR)/bin:$(PATH)

# Without the tag, cloud.google.com/go/storage brings what only its gRPC client needs: docs/adr/0007.
export GOFLAGS ?= -tags=disable_grpc_modules

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/nes and bin/nes-agent
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

$(VENV)/.ready: deploy/runtime/requirements.txt
	$(PYTHON3) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r deploy/runtime/requirements.txt
	$(VENV)/bin/python -m bash_kernel.install --sys-prefix
	touch $@

.PHONY: runtime
runtime: $(VENV)/.ready ## prepare the reference notebook runtime in .venv

.PHONY: test
test: build runtime ## run every Go test, with the race detector
	go test -race -timeout 30m ./...

.PHONY: e2e
e2e: runtime ## bring up a real Kubernetes, run the scenarios in pods, and take it down; needs root
	e2e/cluster/e2e.sh

.PHONY: schemathesis
schemathesis: build runtime ## ask a server whatever openapi.yaml allows and forbids, for 2 minutes
	e2e/schemathesis/run.sh

PAGES := e2e/pages
$(PAGES)/node_modules/.ready: $(PAGES)/package-lock.json
	cd $(PAGES) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

.PHONY: pages
pages: build runtime $(PAGES)/node_modules/.ready ## test the pages in a real Chromium
	node --test $(PAGES)/tests/

.PHONY: scenarios
scenarios: runtime ## play every scenario of a run's end: SQLite and files
	go test -count=1 -v -run 'TestScenarios$$' ./e2e

.PHONY: scenarios-postgres
scenarios-postgres: runtime ## play every scenario of a run's end: PostgreSQL and a shared bucket
	go test -count=1 -v -run 'TestScenariosOnPostgres$$' ./e2e

.PHONY: screenshots
screenshots: build runtime $(PAGES)/node_modules/.ready ## take the pictures of the pages for docs/viewer.md
	node $(PAGES)/screenshots.mjs docs/images/pages

.PHONY: guards
guards: runtime ## take guards out of the program one by one, and see the crash test fail
	NES_GUARDS=1 go test -count=1 -v -run 'TestGuards$$' ./e2e

.PHONY: load
load: runtime ## submissions at 100 a second beside an empty handler, and 500 queued runs drained
	NES_LOAD=20 go test -count=1 -v -parallel 1 -run 'TestLoad$$|TestDrain$$' ./e2e

.PHONY: soak
soak: runtime ## kill servers, agents and drivers at random over 500 runs, two servers on PostgreSQL
	NES_SOAK=500 go test -count=1 -v -timeout 60m -run 'TestSoak$$' ./e2e

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "run gofmt -w on the files above"; exit 1; }
	go vet ./...
	go tool staticcheck ./...

.PHONY: demo
demo: build runtime ## run real notebooks from a real Git repository and keep serving them; ONCE=1 checks and ends
	go run ./examples/demo $(if $(ONCE),-once)

.PHONY: bench
bench: build runtime ## papermill and NES side by side: medians and ratios
	go run ./e2e/bench

.corpus/.ready: viewer/render/corpus/requirements.txt viewer/render/corpus/fetch.sh | runtime
	NES_PYTHON=$(NES_PYTHON) ./viewer/render/corpus/fetch.sh .corpus
	touch $@

.PHONY: corpus
corpus: .corpus/.ready ## bring the notebooks of other packages' tests and examples, on which the renderer is tested

.bench-render/.ready: e2e/renderbench/requirements.txt
	$(PYTHON3) -m venv .bench-render
	.bench-render/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

.PHONY: bench-render
bench-render: build corpus .bench-render/.ready ## nbconvert and nes render side by side: medians and ratios
	go run ./e2e/renderbench -python .bench-render/bin/python

.PHONY: bundles
bundles: ## make the browser bundles of other projects' packages anew, from the versions that are pinned
	./viewer/web/bundles/build.sh

.PHONY: driver-matrix
driver-matrix: ## test the driver with every Python and papermill that installs here
	./runner/driver/matrix.sh

.PHONY: airflow-unit
airflow-unit: build runtime ## test the Airflow provider on Airflow 3 and 2.11, with dag.test() and a real server
	"$$(operators/airflow/venv.sh airflow-3)/bin/ruff" check --quiet operators/airflow
	operators/airflow/test.sh airflow-3 --ignore tests/original -m "not real"
	operators/airflow/test.sh airflow-2 --ignore tests/original -m "not real"

.PHONY: airflow
airflow: build runtime ## run the provider in a whole Airflow 3, and the original service's own published clients
	operators/airflow/original.sh
	operators/airflow/test.sh airflow-3 -m real -k "not fifty"

.PHONY: airflow-fifty
airflow-fifty: build runtime ## measure what fifty deferrable tasks at once cost, and hold it to bounds
	operators/airflow/test.sh airflow-3 -m real -k fifty -s

HELM ?= $(shell go env GOPATH)/bin/helm
$(HELM):
	go install helm.sh/helm/v3/cmd/helm@v3.19.0

.PHONY: chart
chart: $(HELM) ## test the Helm chart by the real helm; UPDATE=1 writes its manifests anew
	NES_HELM=$(HELM) go test -count=1 ./deploy/helm $(if $(UPDATE),-update)
