"""tests/words.py finds its phrases wherever users read, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest
import words

PHRASE = "It shall be freed."

# A text with the phrase on its second line, in every kind of place that is read.
READ = {
    "README.md": f"Title\n{PHRASE}\n",
    "docs/page.md": f"Title\n{PHRASE}\n",
    "bindings/python/README.md": f"Title\n{PHRASE}\n",
    "include/ottla.h": f"// Returns.\n// {PHRASE}\nint f(void);\n",
    "bindings/cpp/include/ottla/part.hpp": f"/// Returns.\n/// {PHRASE}\nint f();\n",
    "bindings/python/src/ottla/part.py": f'"""Part.\n{PHRASE}"""\n',
    "crates/base/src/error.rs": f"/// Returns.\n/// {PHRASE}\npub fn f() {{}}\n",
    "crates/broker/src/part.rs": f"/// Returns.\n/// {PHRASE}\npub fn f() {{}}\n",
    "src/producer/part.rs": f"/// Returns.\n/// {PHRASE}\n#[must_use]\npub struct Part;\n",
}
NOT_READ = {
    "docs/program.md": f"```c\n{PHRASE}\n```\n",
    "include/other.h": f"/* {PHRASE} */\n",
    "bindings/python/src/ottla/_hidden.py": f'"""{PHRASE}"""\n',
    "bindings/python/src/ottla/code.py": f'def _f():\n    """{PHRASE}"""\n\n\nx = "{PHRASE}"\n',
    "src/producer/inner.rs": f"/// {PHRASE}\nfn f() {{}}\n\n// {PHRASE}\npub fn g() {{}}\n",
    "src/producer/tests/part.rs": f"/// {PHRASE}\npub fn f() {{}}\n",
    "src/net/part.rs": f"/// {PHRASE}\npub fn f() {{}}\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with every place that is read, and nothing wrong in it."""
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["words.py"])
    for name in READ:
        put(tmp_path, name, "")
    put(tmp_path, "bindings/python/src/ottla/__init__.py", "")
    # It looks for at least that many texts, lest it reads nothing and says that all is well.
    put(tmp_path, "include/many.h", "// Returns.\nint f(void);\n" * 500)
    return tmp_path


def put(tree: Path, name: str, text: str) -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_patterns() -> None:
    words.self_test()


def test_nothing_wrong(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert words.main() == 0
    assert capsys.readouterr().out.endswith("texts, no phrase to trip over\n")


@pytest.mark.parametrize("name", READ)
def test_what_users_read(tree: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    put(tree, name, READ[name])
    assert words.main() == 1
    assert capsys.readouterr().out == f"{name}:2: 'shall': write: must, will\n"


@pytest.mark.parametrize("name", NOT_READ)
def test_what_nobody_reads(tree: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    put(tree, name, NOT_READ[name])
    assert words.main() == 0, capsys.readouterr().out


def test_too_few_texts(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tree, "include/many.h", "")
    assert words.main() == 1
    assert "texts were found" in capsys.readouterr().out
