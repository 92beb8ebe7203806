"""A disk gets full under a running shop: a real API process on a small filesystem, and under a limit on file sizes."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.proof.arena import ApiProcess, Arena, errors

LARGE = "x" * 60_000
"""A product's `location`, so that few of them fill a disk."""
SLOWLY = {"PULPO_ENGINE_DELAY": "0.3"}
"""Steps take this long, so that a flow is under way while the disk fills."""


@dataclass
class Disk:
    """An API process whose database has little room; `free` makes room while it runs."""

    arena: Arena
    api: ApiProcess
    free: Callable[[], None]


@pytest.fixture
def small_filesystem(tmp_path: Path) -> Iterator[Disk]:
    """The database on a filesystem of 48 MB, of which another file takes 45."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"a filesystem cannot be mounted here: {mounted.stderr.strip()}")
    try:
        ballast = place / "ballast"
        ballast.write_bytes(b"\0" * 45_000_000)
        with Arena(tmp_path, **SLOWLY, PULPO_DATABASE_URL=f"sqlite:///{place / 'shop.db'}") as arena:
            yield Disk(arena, arena.start_api(), ballast.unlink)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_files(tmp_path: Path) -> Iterator[Disk]:
    """The system lets the process write no file beyond 3 MB."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux changes another process' limits")
    with Arena(tmp_path, **SLOWLY) as arena:
        api = arena.start_api()
        resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        yield Disk(arena, api, lambda: resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, unlimited) and None)


@pytest.fixture(params=["small_filesystem", "small_files"])
def disk(request: pytest.FixtureRequest) -> Disk:
    """A disk that gets full soon."""
    found: Disk = request.getfixturevalue(request.param)
    return found


def _write(client: httpx.Client, name: str, location: str = LARGE) -> httpx.Response:
    product = {"id": f"prod_{name}", "sku": name, "name": name, "price": 1.00, "inventory": 3, "location": location}
    return client.post("/products", json=product)


def test_a_full_disk_is_a_problem_loses_nothing_and_needs_no_restart(disk: Disk) -> None:
    """Writes are answered 507 and PULPO505 until there is room again; what was acknowledged stays."""
    with httpx.Client(base_url=disk.api.url, trust_env=False, timeout=60) as client, ThreadPoolExecutor(4) as clients:
        kept: set[str] = set()
        refused: dict[str, httpx.Response] = {}
        for start in range(0, 120, 12):
            names = [str(number) for number in range(start, start + 12)]
            for name, answer in zip(names, clients.map(lambda name: _write(client, name), names), strict=True):
                if answer.status_code == 201:
                    kept.add(name)
                else:
                    refused[name] = answer
        assert kept
        assert refused
        for answer in refused.values():
            assert answer.status_code == 507, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "PULPO505"
            assert "no restart is needed" in answer.json()["hint"]
        _shows(client, kept, set(refused))

        disk.free()
        for name in refused:
            assert _write(client, name).status_code == 201
        _shows(client, kept | set(refused), set())
    assert disk.api.process.poll() is None
    assert not [line for line in errors(disk.api.log) if "PULPO505" not in line]


def test_a_run_that_meets_a_full_disk_goes_on_when_there_is_room(disk: Disk) -> None:
    """A flow that was acknowledged cannot record its steps for a while; it completes, and every book is right."""
    gateway = disk.arena.start_gateway()
    disk.arena.ask_inside("stock", "1", "10", "0")
    with httpx.Client(base_url=disk.api.url, trust_env=False, timeout=60) as client:
        given = {"order_id": "order_0", "payment_method": "credit_card", "address_zip": "90210"}
        begun = client.post("/flows/order_to_cash/runs", json=given)
        assert begun.status_code == 202, begun.text
        number = 0
        for location in (LARGE, "little"):  # until not even a little fits
            while _write(client, str(number), location).status_code == 201:
                number += 1
                assert number < 2_000, "the disk does not get full"
        _until(lambda: any(begun.json()["id"] in line and "not" in line for line in disk.api.log))
        disk.free()
        address = f"/runs/{begun.json()['id']}"
        _until(lambda: client.get(address).json()["finished_at"] is not None)
        run = client.get(address).json()
        assert (run["state"], run["incident"]) == ("completed", None), run
        assert client.get("/orders/order_0").json()["status"] == "shipped"
    assert disk.arena.violations(gateway.get("/ledger").json()) == []


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _shows(client: httpx.Client, kept: set[str], refused: set[str]) -> None:
    """Reading works on a full disk too: what was acknowledged is whole, of what was refused there is nothing."""
    for name in kept:
        product = client.get(f"/products/prod_{name}").raise_for_status().json()
        assert (product["location"], product["on_hand"]) == (LARGE, 3)
        assert len(client.get("/stock_movements", params={"product_id": f"prod_{name}"}).json()) == 1
    for name in refused:
        assert client.get(f"/products/prod_{name}").status_code == 404
    assert client.get("/products", params={"count": "true", "limit": 1}).headers["x-total-count"] == str(len(kept))
