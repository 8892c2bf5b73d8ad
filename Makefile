# Everything here also works without make: the commands are one line each.
PYTHON ?= python3
BIN = .venv/bin
EXTRAS = labs,gym,serve,instructor,postgresql,dev

.PHONY: help start setup test labs book bench

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1 \t\2/p' Makefile

start:  ## set up, then open the workshop in JupyterLab
	$(PYTHON) tools/start.py

setup:  ## set up everything that tests and instructors need
	$(PYTHON) tools/start.py --check --extras $(EXTRAS)

test: setup  ## set up, then run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

labs: setup  ## build the notebooks from solutions/*.md
	$(BIN)/workshop build

book: setup  ## build the book into book/_build/html
	$(BIN)/workshop book

bench: setup  ## compare speed and memory with peers, side by side
	$(BIN)/python -m tests.bench.run $(BENCH_ARGS)
