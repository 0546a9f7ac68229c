"""S3 and SQS in this process: an S3 that tells queues what lands, as AWS's own does."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from unittest.mock import patch

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


class _Quiet(MotoRequestHandler):
    """Requests are not worth a line each in a test's log."""

    def log_request(self, *_: Any) -> None: ...


@contextmanager
def aws() -> Iterator[str]:
    """The endpoint of both, with credentials for them in the environment."""
    ours = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with serve_aws() as endpoint, patch.dict(os.environ, ours):
        yield endpoint


@contextmanager
def serve_aws() -> Iterator[str]:
    """The endpoint of both; any credentials will do.

    moto's own server answers many requests at once, and its queue loses deletions in that; this one takes them in turn.
    """
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=False, request_handler=_Quiet)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), name="aws", daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
