"""docs/cli.md is what the command line does: every verb, every option, and transcripts that are run."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from amends.delivery.cli.app import VERBS, application
from tests.delivery.cli.asking import MAIN
from tests.docs.documents import ROOT, page

PAGE = page("docs/cli.md")
SHARED = {"--url", "--api-key", "--store", "--sagas", "--namespace"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
SECONDS = re.compile(r"\d+\.\d{3} s")


def section(heading: str) -> str:
    found = re.search(rf"^#+ {heading}[^\n]*\n(.*?)(?=^#|\Z)", PAGE.prose, re.DOTALL | re.MULTILINE)
    assert found, f"no heading {heading!r}"
    return found[1]


def options_in(text: str) -> set[str]:
    rows = re.findall(r"^\| (`--[^|]+) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(--[a-z-]+)", row)}


def test_the_page_has_every_verb_and_no_other() -> None:
    headings = re.findall(r"^### amends ([a-z]+)", PAGE.prose, re.MULTILINE)
    assert sorted(headings) == sorted(VERBS)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "config"])
def test_the_page_has_every_option_and_no_other(verb: str) -> None:
    group: Any = typer.main.get_command(application([verb]))
    command = group.commands[verb]
    flags = [flag for option in command.params for flag in (*option.opts, *option.secondary_opts)]
    taken = {flag for flag in flags if flag.startswith("--")} - {"--help"}
    at_desk = taken >= SHARED
    assert options_in(section(f"amends {verb}")) == (taken - SHARED if at_desk else taken)


def test_the_options_that_say_where_are_there_once() -> None:
    assert options_in(section("Where the sagas are")) == SHARED


def masked(text: str) -> list[str]:
    text = SECONDS.sub("SECONDS", TIME.sub("TIME", text))
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_transcripts_are_what_happens(tmp_path: Path) -> None:
    for block in PAGE.blocks():
        if block.title:
            (tmp_path / block.title).write_text(block.text)
    transcripts = [block.text for block in PAGE.blocks() if block.language == "transcript"]
    assert len(transcripts) == 2
    for transcript in transcripts:
        made = ""
        for line in transcript.splitlines():
            if line.startswith("$ amends "):
                made += f"{line}\n{said(line, tmp_path)}"
        assert masked(made) == masked(transcript)


def said(line: str, folder: Path) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [*MAIN, *shlex.split(line)[2:]]
    ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr
