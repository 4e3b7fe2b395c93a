"""A tenant is backed up, archived when it is deleted, and comes back with what it knew."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from voicehelper_e2e.kubernetes.people import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.enable_socket]
NEWS = "# Opening hours\n\nThe foundry of Hooli in Graz opens at twenty to five in the morning."


@pytest.fixture
def hooli(people):
    people.join("hooli", deletion={"policy": "Archive"})
    yield people
    people.leave("hooli", "hooli-rehearsal")


def knows(people, tenant):
    with people.client(tenant) as client:
        answer = people.ask(client, "When does it open in the morning?")
    assert "twenty to five" in answer["content"]
    assert answer["citations"]


def verified(archive):
    command = [sys.executable, "-m", "voicehelper_cli", "tenant", "verify", str(archive)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def restore(people, archive, **wishes):
    with people.installation.platform() as client, archive.open("rb") as content:
        answer = client.post("/api/v1/identity/tenants/import", params=wishes, content=content, timeout=300)
    assert answer.status_code == 200, answer.text
    last = json.loads(answer.text.splitlines()[-1])
    assert last["event"] == "restored", last


def test_a_backup_and_an_archive_are_restored(hooli, tmp_path):
    installation = hooli.installation
    with hooli.client("hooli") as client:
        hooli.upload(client, "hours.md", NEWS)
    knows(hooli, "hooli")

    backup = tmp_path / "hooli.tar.gz"
    with installation.platform() as client:
        answer = client.get("/api/v1/identity/tenants/hooli/export")
        assert answer.status_code == 200, answer.text
        backup.write_bytes(answer.content)
    verified(backup)
    restore(hooli, backup, name="hooli-rehearsal", plan="team")  # in the shared cell
    installation.kubectl("wait", "tenant/hooli-rehearsal", "--for=condition=Ready", "--timeout=180s")
    knows(hooli, "hooli-rehearsal")
    knows(hooli, "hooli")

    before, cell_id = set(installation.stores.archives), installation.get("tenant", "hooli")["status"]["cellId"]
    hooli.leave("hooli")
    until(lambda: not installation.stores.traces(cell_id), "the stores know nothing of the cell", 30)
    (archive,) = set(installation.stores.archives) - before
    verified(archive)
    restore(hooli, archive)
    installation.kubectl("wait", "tenant/hooli", "--for=condition=Ready", "--timeout=180s")
    knows(hooli, "hooli")
