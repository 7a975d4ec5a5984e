"""The lab's resolver: most callers ask DNS again and again; one that no server should serve needs it only once."""

import asyncio
import socket

import pytest

import drills.selftest.doubles.lab_programs  # noqa: F401 - puts the lab's programs on the path

# isort: split
from client import DNS_TTL_S, Resolver

NAME = "ledger.lab.svc.cluster.local"


class Dns:
    """The answers of a name server that goes away; it counts the questions."""

    def __init__(self) -> None:
        self.address = "10.96.0.7"
        self.questions = 0

    async def getaddrinfo(self, *_asked: object, **_how: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        """Answer, or fail as the resolver of the system does."""
        self.questions += 1
        if not self.address:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, 0))]


async def asked(dns: Dns, *, is_old_good: bool, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a caller gets while DNS answers, after it went away, and once it answers again."""
    loop, at_s = asyncio.get_running_loop(), 0.0
    monkeypatch.setattr(loop, "getaddrinfo", dns.getaddrinfo)
    monkeypatch.setattr(loop, "time", lambda: at_s)
    resolver, found = Resolver(), []
    for address in ("10.96.0.7", "", "", "10.96.0.8", "10.96.0.8"):
        dns.address, at_s = address, at_s + DNS_TTL_S + 1
        try:
            found.append(await resolver.resolve(NAME, is_old_good=is_old_good))
        except OSError:
            found.append("no address")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return found


@pytest.mark.parametrize(
    ("is_old_good", "found"),
    [
        (False, ["10.96.0.7", "no address", "no address", "10.96.0.8", "10.96.0.8"]),
        (True, ["10.96.0.7", "10.96.0.7", "10.96.0.7", "10.96.0.7", "10.96.0.8"]),
    ],
)
def test_a_loss_of_dns_stops_only_a_caller_that_has_not_written_the_address_down(
    is_old_good: bool, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on with the old address at once, asks again meanwhile, and takes the new one when there is one."""
    dns = Dns()
    assert asyncio.run(asked(dns, is_old_good=is_old_good, monkeypatch=monkeypatch)) == found
    assert dns.questions == 5
