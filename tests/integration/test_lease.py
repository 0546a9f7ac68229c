"""One writer: of any number of streams one works, and one that lost its lease finds out before it commits."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import obstore
import pytest

from conf import lease as module
from conf.errors import ContractError, LeaseError, StorageError
from conf.lease import Held, Holder, Lease, read
from conf.s3 import control_client, object_store
from conf.settings import Settings
from tests.waiting import wait_until

SECONDS = 5
STRANGER = Holder("another-run", "another-host", 4711, "another-boot/pid:[1]/99")


def held(settings: Settings) -> Held:
    found = read(control_client(settings.storage), settings.storage)
    assert found
    return found


def put_lease(settings: Settings, holder: Holder | None, seconds: int = SECONDS) -> None:
    lease = Lease(settings.storage, seconds)
    found = read(lease._client, settings.storage)
    assert lease._write({"IfMatch": found.etag} if found else {"IfNoneMatch": "*"}, holder)


def test_a_second_one_is_told_who_and_until_when(settings: Settings) -> None:
    put_lease(settings, STRANGER, seconds=3600)
    with pytest.raises(LeaseError, match=r"process 4711 on another-host has its lease until 20\d\d-\d\d-\d\d \d\d:"):
        Lease(settings.storage, SECONDS).__enter__()


def test_it_is_free_again_when_given_back(settings: Settings) -> None:
    for _ in range(2):
        with Lease(settings.storage, SECONDS) as lease:
            lease.check()
            with pytest.raises(LeaseError):
                Lease(settings.storage, SECONDS).__enter__()


def test_a_renewal_does_not_pass_for_what_it_renewed(settings: Settings) -> None:
    with Lease(settings.storage, SECONDS) as lease:
        # Somebody else has read this just when it had run out, and would take it over on that condition.
        seen = read(lease._client, settings.storage)
        assert seen is not None
        lease.check()
        assert not Lease(settings.storage, SECONDS)._write({"IfMatch": seen.etag}, STRANGER)
        lease.check()


def test_it_is_renewed_while_its_holder_lives(settings: Settings) -> None:
    with Lease(settings.storage, SECONDS), pytest.raises(LeaseError):
        time.sleep(SECONDS + 2)
        Lease(settings.storage, SECONDS).__enter__()


def test_one_that_ran_out_goes_to_the_next_and_the_first_finds_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A paused driver: its renewals stop, and it wakes up before a commit.
    monkeypatch.setattr(module, "_RENEWALS", 1e-3)
    with Lease(settings.storage, SECONDS) as paused:
        time.sleep(SECONDS + 2)
        with Lease(settings.storage, SECONDS) as successor:
            with pytest.raises(LeaseError, match="was lost to another stream"):
                paused.check()
            successor.check()
        with pytest.raises(LeaseError):
            paused.check()
    # What it gives back on leaving is not its own any more.
    with Lease(settings.storage, SECONDS):
        pass


def test_a_renewal_that_finds_it_gone_says_so(settings: Settings) -> None:
    with Lease(settings.storage, SECONDS) as lease:
        assert lease.lost is None
        obstore.delete(object_store(settings.storage), settings.storage.state_key("lease.json"))
        wait_until(lambda: lease.lost is not None)


def test_one_that_ran_out_while_nobody_came_is_still_held(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEWALS", 1e-3)
    with Lease(settings.storage, SECONDS) as lease:
        time.sleep(SECONDS + 2)
        lease.check()


def test_of_many_at_once_one_wins(settings: Settings) -> None:
    def enter(_: int) -> Lease | None:
        try:
            return Lease(settings.storage, SECONDS).__enter__()
        except LeaseError:
            return None

    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            (won,) = [lease for lease in pool.map(enter, range(8)) if lease]
        won.__exit__(None, None, None)


def test_of_two_that_a_store_let_write_at_once_the_first_leaves(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_lease(settings, STRANGER, seconds=0)
    wait_until(lambda: held(settings).expired)
    write = Lease._write

    def write_and_be_overwritten(lease: Lease, condition: dict[str, Any], holder: Holder | None) -> bool:
        wrote = write(lease, condition, holder)
        monkeypatch.undo()
        put_lease(settings, STRANGER, seconds=3600)
        return wrote

    monkeypatch.setattr(Lease, "_write", write_and_be_overwritten)
    with pytest.raises(LeaseError, match="has just taken the lease"):
        Lease(settings.storage, SECONDS).__enter__()
    assert held(settings).holder == STRANGER


def test_a_killed_process_of_this_host_is_known_to_be_dead(settings: Settings) -> None:
    script = (
        "import sys, time; from conf.settings import Storage; from conf.lease import Lease\n"
        f"with Lease(Storage.model_validate_json({settings.storage.model_dump_json()!r}), 3600):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(LeaseError, match=f"process {holder.pid} on"):
                Lease(settings.storage, SECONDS).__enter__()
        finally:
            os.kill(holder.pid, signal.SIGKILL)
    with Lease(settings.storage, SECONDS):
        pass


def test_nobody_is_taken_for_dead_on_a_guess() -> None:
    me = Holder.this_process()
    assert not me.is_dead()
    assert replace(me, pid=2**22 + 1).is_dead()
    assert not replace(me, pid=2**22 + 1, host="another").is_dead()
    assert not replace(me, pid=2**22 + 1, process=None).is_dead()
    assert me.process is not None
    # The same host as seen from another container: its processes are not to be seen from here.
    assert not replace(me, pid=2**22 + 1, process=me.process.replace("pid:[", "pid:[1")).is_dead()


def test_a_retried_put_that_finds_itself_has_won(settings: Settings) -> None:
    with Lease(settings.storage, SECONDS) as lease:
        etag, lease._etag = lease._etag, '"0123"'
        lease.check()
        assert lease._etag == etag


def test_a_lost_bucket_is_no_lost_lease(settings: Settings) -> None:
    storage = settings.storage.model_copy(update={"bucket": "nowhere"})
    with pytest.raises(StorageError, match="There is no bucket 'nowhere'"):
        Lease(storage, SECONDS).__enter__()


def test_the_lease_holds_no_secret(settings: Settings) -> None:
    with Lease(settings.storage, SECONDS):
        client = control_client(settings.storage)
        body = client.get_object(Bucket=settings.storage.bucket, Key=settings.storage.state_key("lease.json"))
        text = body["Body"].read().decode()
    assert set(asdict(STRANGER)) == {"id", "host", "pid", "process"}
    for secret in (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in text


@pytest.mark.parametrize("body", [b"", b"{}", b'{"seconds": 30, "holder": {"id": "1", "name": "of another version"}}'])
def test_a_lease_that_cannot_be_understood_is_one_message(settings: Settings, body: bytes) -> None:
    obstore.put(object_store(settings.storage), settings.storage.state_key("lease.json"), body)
    with pytest.raises(ContractError, match=r"lease\.json is damaged, or of another version.*then delete it"):
        Lease(settings.storage, SECONDS).__enter__()
