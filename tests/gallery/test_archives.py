"""Members of packages, read and never unpacked."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpl_nas.errors import CheckpointError
from dpl_nas.gallery.archives import read_members

FILES = {"package/a.txt": b"first", "package/img/b.png": b"second" * 100}


def tar(path: Path, kind: str) -> None:
    with tarfile.open(path, f"w:{kind}") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("package/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


def deb(path: Path) -> None:
    inner = path.with_suffix(".tar.xz")
    tar(inner, "xz")
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": inner.read_bytes()}
    content = b"!<arch>\n"
    for name, part in parts.items():
        content += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode()
        content += part + b"\n" * (len(part) % 2)
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["some.tgz", "some.deb"])
def test_regular_files_that_are_wanted_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".deb"):
        deb(path)
    else:
        tar(path, "gz")
    assert dict(read_members(path, lambda _: True)) == FILES
    assert dict(read_members(path, lambda each: each.endswith(".png"))) == {
        "package/img/b.png": FILES["package/img/b.png"]
    }
    assert sorted(each.name for each in tmp_path.iterdir() if each.suffix != ".xz") == [name]


@settings(deadline=None, max_examples=50)
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".tgz", ".deb"]))
def test_anything_else_is_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("archive") / f"odd{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a readable archive"):
        list(read_members(path, lambda _: True))


def test_a_cut_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.tgz"
    tar(path, "gz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="download it again"):
        list(read_members(path, lambda _: True))
