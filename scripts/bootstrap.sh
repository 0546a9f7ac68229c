#!/bin/sh
# From Python 3.11 (or uv) to a ready .venv: the packages of requirements.lock, hashes checked, and this project, editable.
# Works without a network once uv's cache is warm; `make setup` runs it when a lock has changed.
set -eu

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# uv itself, of a fixed version, in the user's cache: the next clone finds it there.
bring_uv() {
    version=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements-bootstrap.lock)
    home="${XDG_CACHE_HOME:-$HOME/.cache}/fruits/uv-$version"
    if [ ! -x "$home/bin/uv" ]; then
        python=$(command -v python3.11 || command -v python3) ||
            fail "No Python found. Install Python 3.11 (or uv), then run make again."
        say "Fetching uv $version"
        rm -rf "$home.new"
        "$python" -m venv "$home.new" >/dev/null ||
            fail "$python cannot make virtual environments. Install its venv package (Debian: python3.11-venv), or uv."
        "$home.new/bin/python" -m pip install --quiet --retries 2 --disable-pip-version-check --require-hashes \
            --requirement requirements-bootstrap.lock ||
            fail "uv could not be fetched. Install it yourself, or run make again where there is a network."
        rm -rf "$home"
        mv "$home.new" "$home"
    fi
    uv="$home/bin/uv"
}

uv=$(command -v uv) || bring_uv

if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    "$uv" venv --quiet --clear --no-project --python 3.11 .venv ||
        fail "No Python 3.11 found. Install it (Debian: python3.11, macOS: brew install python@3.11, or pyenv), then run make again."
fi

# Compiled once: Spark starts many short Python processes, and where nothing may be written (PYTHONDONTWRITEBYTECODE is
# usual in containers) each of them would compile what it imports, for a second or two.
set -- pip sync --quiet --compile-bytecode --python .venv --require-hashes requirements.lock
if ! "$uv" "$@" --offline 2>/dev/null; then
    say "Fetching Python packages (4 GB on disk, once a machine)"
    "$uv" "$@" || fail "The packages of requirements.lock could not be installed. Run make again where there is a network."
fi
"$uv" pip install --quiet --python .venv --offline --no-deps --no-build-isolation --editable . ||
    fail "The project itself could not be installed from pyproject.toml."
