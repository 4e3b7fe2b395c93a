"""Pages as lists of blocks, and the shell that runs them; what docs/kubernetes.md consists of."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from voicehelper_core.resource_rules import validated

from voicehelper_e2e.kubernetes.people import TENANTS
from voicehelper_e2e.kubernetes.tests.test_walkthrough import BLOCKS, PAGE
from voicehelper_e2e.kubernetes.walkthrough import Block, Broken, Shell, blocks, saved_as, shown, wrapper

SMALL = """\
# A page

```yaml
# some.yaml
a: 1
```

It says:

```bash
cat some.yaml
```

```text
a: 1
```

<!-- not run: it would take an hour -->
```bash
sleep 3600
```
"""


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path, {"PATH": "/usr/bin:/bin"}, seconds=5)


def bash(text, output=None):
    return Block("bash", text, 1, output)


def test_blocks_in_order():
    first, second, third = blocks(SMALL)
    assert (first.language, saved_as(first), first.line) == ("yaml", "some.yaml", 4)
    assert (second.text, second.output, second.line) == ("cat some.yaml\n", "a: 1\n", 11)
    assert third.not_run == "it would take an hour"


@pytest.mark.parametrize(
    ("page", "wrong"),
    [
        ("```\nls\n```\n", "say one of"),
        ("```bash\nls\n", "does not end"),
        ("```text\nls\n```\n", "no command"),
        ("```bash\nls\n```\n```text\na\n```\n```text\na\n```\n", "no command"),
    ],
)
def test_blocks_that_nobody_understands(page, wrong):
    with pytest.raises(ValueError, match=wrong):
        blocks(page)


def test_a_manifest_without_a_name():
    with pytest.raises(ValueError, match="name"):
        saved_as(Block("yaml", "a: 1\n", 3))


def test_a_page_runs(shell):
    for block in blocks(SMALL):
        shell.run(block)


def test_variables_and_functions_stay(shell):
    shell.run(bash("WHO='some body'\nhello() { echo \"hello $WHO $1\"; }\n"))
    shell.run(bash("hello cat\n", "hello some body cat\n"))
    shell.run(bash("WHO=nobody\n"))
    shell.run(bash("hello there\n", "hello nobody there\n"))


@pytest.mark.parametrize("text", ["false\ntrue\n", "echo $NOBODY_HAS_SET_IT\n", "false | true\n", "x=$(false)\n"])
def test_any_failure_ends_a_block_and_is_shown_with_it(text, shell):
    with pytest.raises(Broken, match="line 1: status 1") as broken:
        shell.run(bash(f"echo before\n{text}"))
    assert text in str(broken.value)
    assert "said:\nbefore\n" in str(broken.value)


def test_other_output_than_the_page_shows(shell):
    with pytest.raises(Broken, match="something else"):
        shell.run(bash("echo one\n", "two\n"))


def test_a_block_that_does_not_end_is_ended(tmp_path):
    with pytest.raises(Broken, match="not done"):
        Shell(tmp_path, {"PATH": "/usr/bin:/bin"}, seconds=0.3).run(bash("sleep 60 & wait\n"))


def test_programs_get_their_arguments(tmp_path, shell):
    wrapper(tmp_path / "bin" / "echo", ["echo", "a b", "c"])
    shell.run(bash('PATH="$PWD/bin:$PATH"\nenv echo "d  e"\n', "a b c d e\n"))
    with pytest.raises(FileNotFoundError):
        wrapper(tmp_path / "bin" / "none", ["there-is-no-such-program"])


TABLE = "NAME     ID             AGE\nbakery   pon4fz7qq0zc   8s\n"


@pytest.mark.parametrize(
    ("said", "same"),
    [
        (TABLE, True),
        (f"applied\n{TABLE}and more\n", True),
        ("NAME ID AGE\nbakery abcdefghijkl 3m12s", True),
        ("NAME ID AGE\nbakery abc 3m12s\n", False),
        ("NAME ID AGE\nother pon4fz7qq0zc 8s\n", False),
        ("NAME ID AGE\nother pon4fz7qq0zc 8s\nbakery pon4fz7qq0zc 8s\n", False),
        ("bakery pon4fz7qq0zc 8s\n", False),
    ],
)
def test_ids_and_ages_may_differ(said, same):
    assert shown(TABLE, said) is same


def test_anything_between():
    assert shown("a\n...\nb\n", "a\nx\ny\nb\n")
    assert shown("a\n...\nb\n", "a\nb\n")
    assert not shown("a\n...\nb\n", "b\na\n")
    assert shown("... denied: why\n", "Error from server: denied: why\n")
    assert shown("a: ...\n", "a: one (or two)\n")
    assert not shown("a: ...\n", "b\n")


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "bash"], ids=lambda one: str(one.line))
def test_the_pages_commands_are_bash(block):
    done = subprocess.run(["/bin/bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_has_tenants_of_its_own_and_removes_them():
    manifests = [validated(yaml.safe_load(block.text))[0] for block in BLOCKS if block.language == "yaml"]
    assert {item.kind_name for item in manifests} == {"Tenant"}
    names = {item.metadata.name for item in manifests}
    assert len(names) == 2
    assert not names & {*TENANTS, "initech"}
    assert {item.spec.deletion.policy for item in manifests} == {"Delete"}
    assert f"kubectl delete tenant {' '.join(sorted(names))} " in PAGE.read_text()


def test_the_page_leaves_nothing_out():
    assert [block.not_run for block in BLOCKS if block.not_run] == []
