"""The project's image with another text in one file: a build that is wrong on purpose."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from voicehelper_cli.failures import Failure
from voicehelper_e2e.cluster import images, project_image

FILE = "cell/voicehelper_cell/web/conversations.py"


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> images.Image:
    (tmp_path / "images").mkdir()
    monkeypatch.setattr(project_image, "cache", lambda: tmp_path)
    return images.Image("localhost/a/b:7", [tmp_path / "one.layer"], ["/opt/b"])


def test_one_layer_more_has_the_file_where_the_code_is(image: images.Image) -> None:
    found = project_image.changed(image, "wrong", FILE, lambda text: text + "# wrong\n")
    assert found.name.startswith("localhost/a/b:wrong-")
    assert list(found.layers[:-1]) == list(image.layers)
    with tarfile.open(found.layers[-1]) as tar:
        (entry,) = tar.getmembers()
        assert entry.name == f"opt/voicehelper/code/{FILE}"
        assert (entry.mode, entry.uid) == (0o644, 0), "the image's user can read it"
        assert tar.extractfile(entry).read().endswith(b"# wrong\n")  # type: ignore[union-attr]
    again = project_image.changed(image, "wrong", FILE, lambda text: text + "# worse\n")
    assert again.name != found.name


def test_what_changes_nothing_is_refused(image: images.Image) -> None:
    with pytest.raises(Failure, match="nothing of"):
        project_image.changed(image, "wrong", FILE, lambda text: text.replace("not in it at all", ""))
