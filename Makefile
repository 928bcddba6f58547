PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ZOO := .venv-zoo
ZOO_STAMP := $(ZOO)/.installed

.PHONY: demo test slow lint bench zoo measured pretrained tables clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt analog-nasbench
	touch $@

## The main job on real cells: train, rank, compare with the truth, draw
demo: $(STAMP)
	$(BIN)/python examples/demo.py

## Style, types and the quick tests
test: $(STAMP) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

## The tests that take minutes
slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --timeout 1200

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## Ratios of our array code to literal loops, the whole NAS-Bench-101 scored, and whole networks imported
bench: $(STAMP)
	$(BIN)/python benchmarks/cells.py
	$(BIN)/python benchmarks/networks.py
	$(BIN)/python benchmarks/latency.py

$(ZOO_STAMP): benchmarks/zoo/requirements.txt
	$(PYTHON) -m venv $(ZOO)
	$(ZOO)/bin/python -m pip install --quiet --requirement benchmarks/zoo/requirements.txt
	touch $@

## Two hundred networks of torchvision, timm and transformers by every road, against independent counts (an hour; it
## goes on where it was stopped). Some of them only: make zoo NETWORKS='timm/swin* written/lstm'
zoo: $(ZOO_STAMP)
	PYTHONPATH=src:benchmarks $(ZOO)/bin/python -m zoo $(NETWORKS)

## Measure the ten families (hours; run it alone; it goes on where it was stopped) and pack what was measured
measured: $(STAMP)
	$(BIN)/python benchmarks/measured_set.py measure
	$(BIN)/python benchmarks/measured_set.py pack

## Train the predictors that ship with the package (those of cells need the two benchmarks: `narformer data`)
pretrained: $(STAMP)
	for name in nasbench201 nasbench101 latency_ort latency_openvino-float32; do \
	  rm -rf runs/pretrained-$$name && $(BIN)/narformer train examples/$$name.toml --out runs/pretrained-$$name && \
	  rm -rf src/narformer/pretrained/$$name && \
	  cp -r runs/pretrained-$$name/predictor src/narformer/pretrained/$$name || exit 1; \
	done

## Every row of every table with three seeds (hours; what is stored is not run again)
tables: $(STAMP)
	for table in narformer_v2/nasbench201 narformer_v2/nasbench101 narformer/nasbench201 narformer/nasbench101 \
	  tnasp/nasbench201 tnasp/nasbench101 narformer/cost narformer_v2/latency narformer_v2/latency_unseen \
	  narformer_v2/latency_nnlqp narformer_v2/latency_ablation narformer/latency; do \
	  $(BIN)/narformer table $$table --seeds 3 || exit 1; \
	done

clean:
	rm -rf $(VENV) $(ZOO) build dist .pytest_cache .mypy_cache .ruff_cache
