"""Certificates that replicas share, on a Secret that others write too."""

from __future__ import annotations

import pytest
from cryptography import x509
from voicehelper_core import errors
from voicehelper_core.certificates import Certificates

from voicehelper_operator.certificates import SharedCertificates

HOSTS = ["adapter.voicehelper-prod.svc", "192.0.2.7"]


class Secret:
    """One, with versions; ``rivals`` write before whoever replaces it."""

    def __init__(self):
        self.data, self.version, self.rivals, self.writes = None, 0, [], 0

    async def read(self, name):
        return self.data, str(self.version) if self.data is not None else ""

    async def replace(self, name, data, version):
        if self.rivals:
            self.data, self.version = self.rivals.pop(0), self.version + 1
        if version != (await self.read(name))[1]:
            raise errors.Conflict("it has changed")
        self.data, self.version, self.writes = dict(data), self.version + 1, self.writes + 1


@pytest.fixture
def secret():
    return Secret()


@pytest.fixture
def replica(secret):
    return lambda: SharedCertificates(secret, "certificates", "adapter", HOSTS)


async def test_the_first_makes_them_and_all_have_the_same(secret, replica):
    first, second = replica(), replica()
    made = await first.look()
    assert await second.look() == made == await first.look()
    assert secret.writes == 1
    names = made.leaves["adapter"].parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == HOSTS


async def test_who_was_slower_takes_what_is_there(secret, replica):
    theirs = await SharedCertificates(Secret(), "certificates", "adapter", HOSTS).look()
    secret.rivals = [theirs.secret()]
    assert await replica().look() == theirs
    assert secret.writes == 0


async def test_a_secret_that_changes_all_the_time(secret, replica):
    secret.rivals = [{"a": str(number)} for number in range(10)]
    with pytest.raises(errors.Unavailable, match="all the time"):
        await replica().look()


@pytest.mark.parametrize("data", [None, {}])
async def test_what_was_deleted_or_emptied_is_made_anew(data, secret, replica):
    one = replica()
    before = await one.look()
    secret.data = data
    after = await one.look()
    assert after.authorities != before.authorities
    assert Certificates.of_secret(secret.data) == after


@pytest.mark.parametrize("change", [{"authority-0.crt": "rubbish"}, {"leaf-adapter.crt": "rubbish"}, None])
async def test_what_is_broken_becomes_what_it_was(change, secret, replica):
    one = replica()
    before = await one.look()
    secret.data = {"0.crt": "of an earlier release"} if change is None else secret.data | change
    assert await one.look() == before
    assert secret.data == before.secret()
