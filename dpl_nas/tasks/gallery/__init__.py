"""Tasks of real pictures: ``pictures/<name>``, from the embedded gallery and from photographs."""

from dpl_nas.tasks.gallery.loading import load_gallery_task, name_gallery_tasks

__all__ = ["load_gallery_task", "name_gallery_tasks"]
