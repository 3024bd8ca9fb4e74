"""Kills of `exhaust get` and `exhaust sync` at random bytes, always the same for a seed.

python tests/kills.py 100 runs as many of each, where links expire all the time; the suite runs a handful.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from client_support.downloads import download
from client_support.fake_gateway import OWNER, FakeGateway

from telemetry_exhaust.resource_ids import resource_id

EVENTS = 4000
PROGRAM = (sys.executable, "-m", "telemetry_exhaust")


def kill_once(fake: FakeGateway, arguments: list[str], chance: random.Random, most: int) -> bool:
    """Run the command, kill it when the store has served so many bytes more, and return True when it was killed."""
    environment = {**os.environ, **fake.environment()}
    end = fake.served + chance.randrange(most)
    process = subprocess.Popen(
        [*PROGRAM, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while process.poll() is None and fake.served < end:
        time.sleep(0.0005)
    killed = process.poll() is None
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert killed or process.returncode == 0, errors.decode()
    return killed


def finish(fake: FakeGateway, arguments: list[str]) -> None:
    """Run the command to its end."""
    ended = subprocess.run(
        [*PROGRAM, *arguments], env={**os.environ, **fake.environment()}, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()


def behave(fake: FakeGateway, chance: random.Random) -> None:
    """Let links expire after a few answers, and answers arrive in small pieces."""
    fake.behaviour.events = EVENTS
    fake.behaviour.link_uses = 3
    fake.behaviour.cut = lambda size: min(size, chance.randint(1, 60_000))


def kill_get(fake: FakeGateway, folder: Path, seed: int, kills: int) -> int:
    """Kill `get` as often, a new target whenever one is done, until a link has expired too; return the kills."""
    chance = random.Random(seed)
    behave(fake, chance)
    today = datetime.now(timezone.utc).date()
    done = 0
    for back in range(1, 1000):
        day = today - timedelta(days=back)
        arguments = ["get", "--partner", OWNER, "--from", str(day), "--to", str(day), "-o", str(folder), "-q"]
        right = download(resource_id(OWNER), day, day, events=EVENTS)
        target = folder / f"eks-consumption-raw_{day}_{day}.zip"
        while not target.exists() and done < kills:
            done += kill_once(fake, arguments, chance, len(right))
        finish(fake, arguments)
        assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(right).digest()
        assert sorted(path.suffix for path in folder.iterdir()) == [".zip"] * back
        if done >= kills and fake.refused_links:  # a file that nobody interrupts outlives its link
            return done
    raise AssertionError(done)


def kill_sync(fake: FakeGateway, folder: Path, seed: int, kills: int, days: int) -> int:
    """Kill `sync` as often as it takes, run it to its end, look at every day, and return how many were killed."""
    chance = random.Random(seed)
    behave(fake, chance)
    today = datetime.now(timezone.utc).date()
    first = today - timedelta(days=days)
    arguments = ["sync", str(folder), "--partner", OWNER, "--since", str(first), "-q"]
    wanted = [first + timedelta(days=number) for number in range(days)]
    size = len(download(resource_id(OWNER), first, first, events=EVENTS))
    done = 0
    while done < kills and len(list(folder.glob("*.zip"))) < days:
        done += kill_once(fake, arguments, chance, max(2, 2 * size * days // kills))
    finish(fake, arguments)
    served, requests = fake.served, len(fake.requests)
    finish(fake, arguments)
    assert (fake.served, len(fake.requests)) == (served, requests), "the folder was whole, and something was fetched"
    assert requests == days
    assert [path.name for path in sorted(folder.glob("*.zip*"))] == [f"{day}.zip" for day in wanted]
    for day in wanted:
        right = download(resource_id(OWNER), day, day, events=EVENTS)
        assert (folder / f"{day}.zip").read_bytes() == right
    # Each byte once, but for what a killed run had in hand, and the first byte that finds the object.
    assert fake.served <= sum(len((folder / f"{day}.zip").read_bytes()) for day in wanted) + (done + 1) * 600_000
    return done


def told(what: str, expired: int, started: float) -> None:
    assert expired > 0, "no link expired on the way"
    print(f"{what}, over {expired} expired links, every file right, {time.monotonic() - started:.0f} s", flush=True)


def main(kills: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        started = time.monotonic()
        with FakeGateway() as fake:
            (get := Path(name) / "get").mkdir()
            done = kill_get(fake, get, seed, kills)
            told(f"get: {done} kills", fake.refused_links, started)
        started = time.monotonic()
        done = rounds = expired = 0
        while done < kills:
            with FakeGateway() as fake:
                (folder := Path(name) / f"sync-{rounds}").mkdir()
                done += kill_sync(fake, folder, seed + rounds, min(30, kills - done), 30)
                rounds += 1
                expired += fake.refused_links
        told(f"sync: {done} kills in {rounds} folders", expired, started)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
