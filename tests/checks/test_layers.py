"""tests/layers.py finds what it is there to find, in small trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import layers
import pytest

TABLE = """\
## Layers

| place | what lives there |
|---|---|
| `src/error.rs` | the error type |
| `src/net/` | connections |
| `src/producer/`, `src/consumer/` | the roles |
| `crates/broker/` | the embedded broker |

## Out

| `src/late/` | not a layer |
"""

# Returns the exit code and what was printed, for files by name below src/.
Check = Callable[[dict[str, str]], tuple[int, str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    monkeypatch.setattr(layers, "ROOT", tmp_path)
    monkeypatch.setattr(layers, "KNOWN", set())

    def run(files: dict[str, str]) -> tuple[int, str]:
        (tmp_path / "ARCHITECTURE.md").write_text(TABLE)
        for name, text in {"lib.rs": "", "error.rs": "", **files}.items():
            path = tmp_path / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return layers.main([]), capsys.readouterr().out

    return run


def test_the_rows_are_those_of_the_section() -> None:
    assert layers.layers(TABLE) == [["error.rs"], ["net"], ["producer", "consumer"], ["broker"]]


def test_imports_along_the_layers_are_fine(check: Check) -> None:
    code, said = check({"net/mod.rs": "use crate::error::Error;", "producer/mod.rs": "use crate::net::Connection;"})
    assert code == 0
    assert said.startswith("layers ok: 4 files in 4 rows")


@pytest.mark.parametrize(
    "text",
    [
        "use crate::producer::Producer;",
        "use crate::{error::Error, producer::Producer};",
        "use super::super::producer::Producer;",
        "fn f() { crate::producer::Producer::new(); }",
        "pub(crate) use crate::producer::Producer;",
    ],
)
def test_an_import_against_the_layers(check: Check, text: str) -> None:
    code, said = check({"net/mod.rs": "", "net/frame.rs": text, "producer/mod.rs": "pub struct Producer;"})
    assert code == 1
    assert said == "against the layers: net/frame.rs -> producer/mod.rs: Producer\n"


def test_places_of_one_row_do_not_know_each_other(check: Check) -> None:
    code, said = check({"producer/mod.rs": "", "consumer/mod.rs": "use crate::producer::Producer;"})
    assert code == 1
    assert "against the layers: consumer/mod.rs -> producer/mod.rs: Producer" in said


def test_what_is_handed_on_is_seen_through(check: Check) -> None:
    # The import reads as one of net/, which only hands the name on.
    files = {
        "net/mod.rs": "pub use crate::consumer::seek;",
        "consumer/mod.rs": "",
        "consumer/seek.rs": "",
        "producer/mod.rs": "use crate::net::seek;",
    }
    code, said = check(files)
    assert code == 1
    assert "net/mod.rs -> consumer/seek.rs" in said
    assert "producer/mod.rs -> consumer/seek.rs" in said


def test_a_file_in_no_row(check: Check) -> None:
    code, said = check({"stray.rs": "use crate::error::Error;"})
    assert code == 1
    assert "stray.rs stands in no row of ARCHITECTURE.md's table of layers" in said


CIRCLE = {
    "producer/mod.rs": "",
    "producer/a.rs": "use super::b::B;",
    "producer/b.rs": "use super::c::C;",
    "producer/c.rs": "use crate::producer::a::A;",
}


def test_a_circle(check: Check) -> None:
    code, said = check(CIRCLE)
    assert code == 1
    assert "a circle of 3 files in producer:" in said
    assert "    producer/c.rs -> producer/a.rs: A" in said


def test_a_known_circle_is_let_be_until_it_is_opened(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "KNOWN", {"producer"})
    assert check(CIRCLE)[0] == 0
    code, said = check({**CIRCLE, "producer/c.rs": ""})
    assert code == 1
    assert "no circle is left in producer: take it off KNOWN" in said


def test_a_face_makes_no_circle(check: Check) -> None:
    code, said = check(
        {"producer/mod.rs": "mod a;\npub use self::a::A;\npub struct B;", "producer/a.rs": "use super::B;"}
    )
    assert code == 0, said


def test_tests_and_comments_may_know_everything(check: Check) -> None:
    below = "// use crate::producer::Producer;\n#[cfg(test)]\nmod tests {\n    use crate::producer::Producer;\n}\n"
    code, said = check({"net/mod.rs": below, "net/tests.rs": "use crate::producer::Producer;", "producer/mod.rs": ""})
    assert code == 0, said


def test_a_crate_is_one_place(check: Check, tmp_path: Path) -> None:
    crate = tmp_path / "crates" / "broker" / "src"
    crate.mkdir(parents=True)
    (crate / "lib.rs").write_text("pub struct Broker;")
    code, said = check({"net/mod.rs": "use ottla_broker::Broker;"})
    assert code == 1
    assert said == "against the layers: net/mod.rs -> broker/lib.rs: Broker\n"
