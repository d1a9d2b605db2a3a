"""What pre-training may see of the gallery, and what the tasks keep for themselves."""

from __future__ import annotations

from dpl_nas.gallery.pack import Gallery
from dpl_nas.gallery.picture import Picture

__all__ = ["CLIP_ART_OF_TASKS", "GROUPS_OF_TASKS", "TRAINING_STYLES", "find_training_pictures"]

_CLIP_ART = "openclipart"
#: Emoji styles of pre-training; all other styles are seen in tasks only.
TRAINING_STYLES = frozenset({"noto", "noto_v1", "twemoji"})
#: Groups and subgroups of emoji that pre-training sees in no style.
GROUPS_OF_TASKS = frozenset(
    {
        "flags",
        "hand-fingers-closed",
        "hand-fingers-open",
        "hand-fingers-partial",
        "hand-prop",
        "hand-single-finger",
        "hands",
        "person-role",
    }
)
#: Folders of Open Clip Art that pre-training does not see.
CLIP_ART_OF_TASKS = (
    "animals/",
    "buildings/",
    "computer/buttons/",
    "computer/hardware/",
    "education/books/",
    "food/",
    "geography/",
    "people/bodypart/",
    "people/clothing/",
    "people/smilies/",
    "people/stickmen/",
    "plants/",
    "recreation/",
    "shapes/arrows/",
    "shapes/callouts/",
    "signs_and_symbols/clocks/",
    "signs_and_symbols/map_symbols/",
    "signs_and_symbols/money/",
    "signs_and_symbols/weather/",
    "tools/",
    "transportation/",
)


def find_training_pictures(gallery: Gallery) -> list[int]:
    """Return the places of all pictures that pre-training may see, in the gallery's order.

    Everything else is unseen in the sense that the tasks state: as a style, as a group of
    classes, or as a source. No version of a drawing that is held out is returned.
    """
    kept = {each.drawing for each in gallery.pictures if _is_kept(each)}
    return [
        place
        for place, each in enumerate(gallery.pictures)
        if not _is_kept(each) and (each.style != _CLIP_ART or each.drawing not in kept)
    ]


def _is_kept(picture: Picture) -> bool:
    if picture.style == _CLIP_ART:
        return picture.code.startswith(CLIP_ART_OF_TASKS)
    return picture.style not in TRAINING_STYLES or bool(
        GROUPS_OF_TASKS & {picture.group, picture.subgroup}
    )
