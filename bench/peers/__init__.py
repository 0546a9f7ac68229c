"""The same photographs, from the same store, by the same decoder and network, run by other engines than ours.

daft.py, ray.py  one engine each, set up as those who know it would
network.py       what each of their workers holds; its log tells when which photograph was done
compare.py       the frame around them: store, bare loop, clock, figures

The packages of the others are not in requirements.lock, so they need an environment of their own:

    uv venv --python 3.11 peers
    export VIRTUAL_ENV=$PWD/peers
    uv pip install --requirement requirements.lock
    uv pip install --no-deps --editable .
    uv pip install --group peers

Then, from the root of the tree:

    peers/bin/python -m bench.peers.daft --json
    peers/bin/python -m bench.peers.ray --json
"""
