"""Making of the packs from packages."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.gallery import pack
from dpl_nas.gallery.build import main
from dpl_nas.gallery.packages import (
    GLOSSES,
    PACKAGES,
    PHOTOGRAPHS,
    Package,
    check_package,
    find_package,
    get_package,
)
from dpl_nas.gallery.picture import STYLES
from dpl_nas.io.files import read_sealed


def test_every_package_has_a_version_a_hash_and_a_licence() -> None:
    for package in (*PACKAGES.values(), PHOTOGRAPHS, GLOSSES):
        assert package.version
        assert re.fullmatch("[0-9a-f]{64}", package.sha256)
        assert package.licence
        assert package.credit
    assert set(STYLES.values()) | {"names"} == set(PACKAGES)


def test_another_file_is_refused(tmp_path: Path) -> None:
    package = Package(
        registry="npm",
        name="some",
        version="1.0.0",
        file="some-1.0.0.tgz",
        sha256=hashlib.sha256(b"good").hexdigest(),
        licence="MIT",
        credit="somebody",
    )
    path = tmp_path / package.file
    path.write_bytes(b"good")
    check_package(package, tmp_path)
    path.write_bytes(b"evil")
    with pytest.raises(CheckpointError, match=r"is not some 1\.0\.0: expected the sha256"):
        check_package(package, tmp_path)


def test_a_package_that_is_absent_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        find_package("noto", tmp_path)


def test_a_file_is_no_folder_of_packages(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file \(File exists\): give another folder"):
        get_package(PHOTOGRAPHS, tmp_path / "file")


def test_the_shipped_packs_have_the_stored_hashes() -> None:
    folder = Path(pack.__file__).parent
    hashes = read_sealed(folder / pack.HASHES, "restore it")
    assert set(hashes) == set(pack.PACKS)
    sizes = 0
    for name, digest in hashes.items():
        content = (folder / f"{name}.zip").read_bytes()
        sizes += len(content)
        assert pack.hash_of(content) == digest
    assert sizes < 15_000_000


def test_the_command_refuses_another_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in PACKAGES.values():
        (tmp_path / package.file).write_bytes(b"something else")
    assert main(["--packages", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "resvg_py" in told or "is not emojibase-data" in told
    assert not (tmp_path / "out").exists()


def test_the_notice_names_every_style_and_package_that_is_shipped() -> None:
    folder = Path(pack.__file__).parent / "licences"
    notice = (folder / "NOTICE.md").read_text()
    for style, name in STYLES.items():
        assert style in notice
        assert f"{PACKAGES[name].name} {PACKAGES[name].version}" in notice
    texts = {path.stem for path in folder.glob("*.txt")}
    assert texts == {package.licence for package in PACKAGES.values()} - {"Public domain"}


def test_of_fluent_what_is_not_open_is_left_out() -> None:
    fluent = [each for each in pack.load_gallery().pictures if each.style == "fluent"]
    assert not [each.name for each in fluent if each.subgroup == "country-flag"]
    assert not [each.name for each in fluent if "paperclip" in each.name]
