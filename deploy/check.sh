#!/bin/sh
# Whether AWS's own linter or checkov find anything in deploy/fruits.yaml. What is waived says why, there.
# checkov asks for older packages than ours. So it has an environment of its own, in the user's cache, of a lock made by:
#   echo checkov==3.3.30 | uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 - \
#       --output-file deploy/requirements-checkov.lock
set -eu
cd "$(dirname "$0")/.."

lock=deploy/requirements-checkov.lock
cache="${XDG_CACHE_HOME:-$HOME/.cache}/fruits"
checkov="$cache/checkov-$(cksum <"$lock" | cut -d ' ' -f 1)"
if [ ! -d "$checkov" ]; then
    # `make setup` has brought one where there was none.
    uv=$(command -v uv || find "$cache" -path '*/uv-*/bin/uv' | tail -n 1)
    new="$checkov.$$"
    "$uv" venv --quiet --no-project --relocatable --python 3.11 "$new"
    "$uv" pip sync --quiet --python "$new" --require-hashes "$lock"
    if [ -d "$checkov" ]; then rm -rf "$new"; else mv "$new" "$checkov"; fi
fi

.venv/bin/cfn-lint --include-checks I --regions eu-central-1 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-3 \
    --template deploy/fruits.yaml
# Neither an account nor a network: whatever it would fetch, it does without.
"$checkov/bin/python" -m checkov.main --skip-download --quiet --compact --framework cloudformation --file deploy/fruits.yaml
