# Needs Python 3.11 or later and make. Everything else goes into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
WORKERS ?= 2

.PHONY: run check quick test lint leaderboard attackers validation worlds paper docs clean

run: .venv/run.stamp
	@$(BIN)/prefbench run --method ours --split test

# What every commit must pass, within two minutes on two cores: style, types, and the tests that are not marked slow.
check: .venv/test.stamp
	@$(MAKE) --no-print-directory -j 2 lint quick

quick: .venv/test.stamp
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not gpu and not alone"

# Everything, in two steps that both run whatever the first finds: what can share the machine, then what needs it alone.
test: .venv/test.stamp
	@status=0; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not alone" || status=$$?; \
	$(BIN)/python -m pytest -m "alone" || status=$$?; \
	exit $$status

lint: .venv/test.stamp
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/mypy --no-error-summary

# Every method and control on all test users, then the tables and leaderboard.md.
FRAME := prompt-only crowd inferred inferred-words ideal truth copy random-style "inferred --control other-user" \
	"inferred --control flipped"
METHODS := ours ip-adapter attribute-rewrite tally "ours --control other-user" "ip-adapter --control other-user" \
	"attribute-rewrite --control other-user" "tally --control other-user" "ours --control flipped"
HONEST := prompt-only crowd ours ip-adapter attribute-rewrite tally
leaderboard: .venv/run.stamp
	@for method in $(FRAME) $(METHODS); do $(BIN)/prefbench run --method $$method --out runs/leaderboard || exit 1; done
	@for method in $(HONEST); do echo runs/leaderboard/picturebook-test-$$method-????????; done \
		| xargs $(BIN)/prefbench audit --fresh 50
	@$(BIN)/prefbench report runs/leaderboard/*-* --out runs/leaderboard/report --publish

# What each metric says of methods that cheat, and what the audit: run `make leaderboard` first, for the honest ones. An
# audit that fails is what is hoped for here, so its exit code counts for nothing.
ATTACKERS := copy-crop copy-flip mean-of-likes style-clone best-of-n popular-style
# These know the public users, so what finds them is users that nobody knows.
LOOK_UPS := look-up-id look-up-pictures name-state
# Climbing gradients and choosing among many drawings is slow: a picture takes seconds. So these are drawn for fewer users, one
# sample a case, with the honest methods beside them for the same, on a page of its own. `through=audit` averages over all
# that the audit looks through.
SLOW_USERS := 15
SLOW_FRAME := prompt-only inferred truth ideal crowd ours ip-adapter attribute-rewrite
SLOW := "reader-noise -p levels=4" "reader-noise -p levels=8" "reader-noise -p levels=16" \
	"reader-noise -p levels=4 -p through=audit" "reader-noise -p levels=8 -p through=audit" \
	"reader-noise -p levels=16 -p through=audit" "scorer-noise -p levels=4" "scorer-noise -p levels=8" \
	"scorer-noise -p levels=16" "clip-noise -p levels=4" "clip-noise -p levels=8" "clip-noise -p levels=16" \
	"joint-noise -p levels=4" "joint-noise -p levels=8" "joint-noise -p levels=16" best-of-reader feature-match
attackers: .venv/run.stamp
	@for method in $(ATTACKERS) $(LOOK_UPS); do $(BIN)/prefbench run --method $$method --out runs/attackers || exit 1; done
	@$(BIN)/prefbench audit $(ATTACKERS:%=runs/attackers/*-%-????????) runs/leaderboard/*-copy-???????? || true
	@$(BIN)/prefbench audit --fresh 20 $(LOOK_UPS:%=runs/attackers/*-%-????????) || true
	@$(BIN)/prefbench report --name attacks $$(ls -d runs/leaderboard/*-* runs/attackers/*-* | grep -v -e flipped -e other-user) \
		--out runs/attackers/report --publish
	@for method in $(SLOW_FRAME) $(SLOW); do \
		$(BIN)/prefbench run --method $$method --users $(SLOW_USERS) --samples 1 --out runs/slow-attackers || exit 1; done
	@$(BIN)/prefbench audit runs/slow-attackers/*-* || true
	@$(BIN)/prefbench report --name attacks runs/slow-attackers/*-* --out runs/slow-attackers/report --publish

# The metrics themselves against the known truth, beside the runs of `make leaderboard` and `make attackers`. Not among them:
# `personal-gain`, whose encoder reads 43,000 pictures at 224 x 224, and which is for suites without a known truth.
VALIDATED := utility,preference,prompt-fidelity,clip-score,fid,kid,mmd,cmmd,density,coverage,clip-i,style,diversity,copy-rate
validation: .venv/run.stamp
	@$(BIN)/prefbench validate --metrics $(VALIDATED) $$(ls -d runs/leaderboard/*-* runs/attackers/*-*) --publish

# Whether rankings hold: the same methods for the first users of several worlds, a process a world. The last of WORLDS are
# other users of the default world, so their tau with it is what chance alone leaves.
RANKED := prompt-only crowd attribute-rewrite ip-adapter ours tally truth inferred
WORLDS := "--split test" "-s crowd=0" "-s crowd=0.4" "-s noise=4" "-s silent=0.7" "-s history=2" "-s history=16" \
	"--split shifted" "-s population=1"
RANKED_USERS := 25
RANKED_METRICS := utility,preference,clip-i,clip-score,prompt-fidelity,fid,kid
worlds: .venv/run.stamp
	@printf '%s\n' $(WORLDS) | OMP_NUM_THREADS=1 xargs -P $(WORKERS) -I WORLD sh -c '$(BIN)/prefbench run \
		$(RANKED:%=--method %) WORLD --users $(RANKED_USERS) --samples 1 --metrics $(RANKED_METRICS) \
		--out runs/worlds'
	@$(BIN)/prefbench validate --worlds $$(ls -d runs/worlds/*-*) --out runs/worlds/report --publish

# The example of a paper, from committed results: examples/paper/build/paper.pdf. It needs pdflatex.
paper: .venv/run.stamp
	@$(BIN)/python examples/paper/make.py

# The site of docs/ into site/. The variables silence advertisements of the generator, no warning about these pages.
docs: .venv/docs.stamp
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --quiet --strict

clean:
	rm -rf .venv build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache

# The stamps spare the second call the installation; another pyproject.toml brings it back. What is imported is compiled
# then: compiling all that is installed takes as long as installing it.
.venv/run.stamp: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install -q --no-compile --disable-pip-version-check -e .
	@touch $@

.venv/test.stamp: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install -q --no-compile --disable-pip-version-check -e ".[dev]"
	@touch $@ .venv/run.stamp

.venv/docs.stamp: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install -q --no-compile --disable-pip-version-check -e ".[docs]"
	@touch $@

$(BIN)/python:
	$(PYTHON) -m venv .venv
