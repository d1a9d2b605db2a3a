"""The embedded gallery: thumbnails of real pictures with names, drawings and licences."""

from dpl_nas.gallery.held_out import find_training_pictures
from dpl_nas.gallery.pack import Gallery, load_gallery
from dpl_nas.gallery.picture import Picture

__all__ = ["Gallery", "Picture", "find_training_pictures", "load_gallery"]
