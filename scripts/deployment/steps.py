"""Requests to AWS, each a value that can be shown: made for real, or rehearsed without credentials or network.

Both ways run the same code, so that what `--dry-run` shows is what would be asked.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from conf.errors import CloudError
from scripts.deployment.failures import explain

if TYPE_CHECKING:
    import boto3

T = TypeVar("T")
POLL_SECONDS = 5.0
_ATTEMPTS = 5
_READS = ("get_", "list_", "describe_", "head_")


@dataclass(frozen=True)
class Call:
    """One request: a service, one of its operations as boto3 names it, and what is given to it."""

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether it makes, alters or removes something."""
        return not self.operation.startswith(_READS)


def _unheard(_: Any) -> None:
    """For what nobody listens to."""


class Cloud(ABC):
    """One region of one account.

    Parameters
    ----------
    region
    on_call
        Is shown each request before it is made.
    tell
        Says to a person what is being done.
    """

    def __init__(
        self, region: str, on_call: Callable[[Call], None] = _unheard, tell: Callable[[str], None] = _unheard
    ) -> None:
        self.region = region
        self.tell = tell
        self._on_call = on_call
        self._session: boto3.Session
        self._clients: dict[str, Any] = {}

    def ask(self, service: str, operation: str, **parameters: Any) -> Any:
        """The answer to one request.

        Raises
        ------
        CloudError
            Where AWS refuses it, or cannot be reached.
        """
        call = Call(service, operation, parameters)
        self._on_call(call)
        return self._answer(call)

    def pages(self, service: str, operation: str, **parameters: Any) -> Iterator[Any]:
        """The answers to a request for a list that comes in pages; shown once."""
        call = Call(service, operation, parameters)
        self._on_call(call)
        return self._answers(call)

    def listed(self, service: str, operation: str, member: str, **parameters: Any) -> list[Any]:
        """All items of a list; `member` names it in the answers."""
        return [item for page in self.pages(service, operation, **parameters) for item in page.get(member, [])]

    def wait(self, look: Callable[[], T], is_over: Callable[[T], bool]) -> T:
        """What `look` sees once that is over."""
        while not is_over(seen := look()):
            self._pause()
        return seen

    @abstractmethod
    def _answer(self, call: Call) -> Any: ...

    @abstractmethod
    def _answers(self, call: Call) -> Iterator[Any]: ...

    def _pause(self) -> None:
        time.sleep(POLL_SECONDS)

    def _client(self, service: str) -> Any:
        from botocore.config import Config

        if service not in self._clients:
            config = Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS})
            self._clients[service] = self._session.client(service, config=config)  # type: ignore[call-overload]
        return self._clients[service]


class Aws(Cloud):
    """AWS itself, by boto3 and its chain of credentials."""

    def __init__(self, region: str, profile: str | None = None, **told: Any) -> None:
        import boto3
        from botocore.exceptions import ProfileNotFound

        super().__init__(region, **told)
        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
        except ProfileNotFound as error:
            raise CloudError(
                f"{error}. Name one that `aws configure list-profiles` lists, by --aws-profile or AWS_PROFILE."
            ) from None

    def _answer(self, call: Call) -> Any:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client(call.service), call.operation)(**call.parameters)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise explain(error, call.service, call.operation, self.region) from None

    def _answers(self, call: Call) -> Iterator[Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield from self._client(call.service).get_paginator(call.operation).paginate(**call.parameters)
        except (ClientError, BotoCoreError) as error:
            raise explain(error, call.service, call.operation, self.region) from None


class Rehearsal(Cloud):
    """An account in which everything goes well.

    What is asked of it is held to AWS's own description of each operation, which boto3 brings.

    Parameters
    ----------
    region
    answers
        By service and operation: one answer each time, or, in a list, one after the other and then the last. An
        operation that is not here answers nothing.
    """

    def __init__(self, region: str, answers: Mapping[tuple[str, str], Any], **told: Any) -> None:
        import boto3

        super().__init__(region, **told)
        self._planned = dict(answers)
        # Nobody's: they are never used.
        self._session = boto3.Session("none", "none", region_name=region)

    def _answer(self, call: Call) -> Any:
        self._hold_to_model(call)
        answer = self._planned.get((call.service, call.operation), {})
        if isinstance(answer, list):
            answer, *later = answer
            if later:
                self._planned[call.service, call.operation] = later
        if isinstance(answer, CloudError):
            raise answer
        return answer

    def _answers(self, call: Call) -> Iterator[Any]:
        yield self._answer(call)

    def _pause(self) -> None:
        raise AssertionError("A rehearsal has nothing to wait for.")

    def _hold_to_model(self, call: Call) -> None:
        from botocore.validate import ParamValidator

        client = self._client(call.service)
        operation = client.meta.method_to_api_mapping.get(call.operation)
        # boto3's own transfer of files is no operation of AWS's.
        if operation:
            shape = client.meta.service_model.operation_model(operation).input_shape
            report = ParamValidator().validate(dict(call.parameters), shape)
            if report.has_errors():
                raise AssertionError(f"{call.service} {call.operation}: {report.generate_report()}")
