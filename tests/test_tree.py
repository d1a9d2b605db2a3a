"""Tests mirror the tree: for every module it is plain which file tests it."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "dpl_nas"

#: Where modules are tested that have no test file of their own: a module, or a whole room.
ELSEWHERE = {
    "__main__": "test_package.py",
    "backbone/checkpoint": "backbone/test_loading.py",
    "backbone/fastvit_tower": "backbone/test_encoders.py",
    "backbone/frozen": "backbone/test_loading.py",
    "backbone/hugging_face_towers": "backbone/test_encoders.py",
    "backbone/language": "backbone/test_decoders.py",
    "backbone/one_tower": "backbone/test_encoders.py",
    "backbone/parts": "backbone/test_encoders.py",
    "backbone/plain_towers": "backbone/test_encoders.py",
    "backbone/timm_towers": "backbone/test_encoders.py",
    "backbone/open_clip_towers": "prompted/test_towers.py",
    "backbone/text": "backbone/test_packing.py",
    "backbone/towers": "prompted/test_towers.py",
    "backbone/vision": "backbone/test_encoders.py",
    "backbone_config": "config/test_run.py",
    "classifier/candidates": "classifier/test_evidence.py",
    "classifier/card": "classifier/test_estimator.py",
    "classifier/folder": "cli/test_fit.py",
    "classifier/held": "classifier/test_report.py",
    "classifier/kept": "classifier/test_fitting.py",
    "classifier/model": "classifier/test_evidence.py",
    "classifier/saved": "classifier/test_estimator.py",
    "io/sealed_tensors": "classifier/test_report.py",
    "cli/app": "cli/test_small.py",
    "cli/configuration": "cli/test_bad_input.py",
    "cli/diagnose": "cli/test_small.py",
    "cli/evaluate": "cli/test_jobs.py",
    "cli/mini": "cli/test_small.py",
    "cli/nni_experiment": "cli/test_nni.py",
    "cli/options": "cli/test_bad_input.py",
    "cli/export": "cli/test_fit.py",
    "cli/predict": "cli/test_fit.py",
    "cli/report": "cli/test_fit.py",
    "cli/show": "cli/test_fit.py",
    "cli/run": "cli/test_jobs.py",
    "cli/search": "cli/test_jobs.py",
    "cli/session": "cli/test_kill.py",
    "cli/space": "cli/test_small.py",
    "cli/tables": "cli/test_jobs.py",
    "cli/tasks": "cli/test_small.py",
    "cli/train": "cli/test_jobs.py",
    "comparison/tables": "comparison/test_report.py",
    "config": "config/test_run.py",
    "diagnostics/truth": "diagnostics/test_separation.py",
    "engine/account": "engine/test_engine.py",
    "engine/cost": "engine/test_engine.py",
    "engine/entries": "engine/test_engine.py",
    "engine/replay": "engine/test_engine.py",
    "engine/stops": "engine/test_engine.py",
    "engine/trials": "engine/test_engine.py",
    "experiments/results": "experiments/test_export.py",
    "gallery/ink": "gallery/test_sources.py",
    "gallery/names": "gallery/test_sources.py",
    "gallery/packages": "gallery/test_build.py",
    "gallery/picture": "gallery/test_pack.py",
    "io/drawing": "runs/test_plots.py",
    "io/panels": "comparison/test_plots.py",
    "methods/layered": "methods/test_searched.py",
    "training/searched": "methods/test_searched.py",
    "io/json_values": "io/test_files.py",
    "io/run_files": "runs/test_folder.py",
    "kernels": "kernels/test_attention.py",
    "bench/cell": "bench/test_runner.py",
    "bench/published": "bench/test_tables.py",
    "methods/features": "methods/test_conformance.py",
    "io/shipped_weights": "mini/test_model.py",
    "io/work_folder": "bench/test_runner.py",
    "methods/clip_lora": "methods/test_towers.py",
    "methods/cocoop": "methods/test_towers.py",
    "methods/coop": "methods/test_towers.py",
    "methods/dpl": "methods/test_towers.py",
    "methods/ivlp": "methods/test_towers.py",
    "methods/maple": "methods/test_towers.py",
    "methods/method": "methods/test_conformance.py",
    "methods/plain": "runs/test_families.py",
    "methods/promptsrc": "methods/test_towers.py",
    "methods/token_method": "methods/test_towers.py",
    "methods/vpt": "methods/test_towers.py",
    "mini/batch": "mini/test_scenes.py",
    "mini/build_words": "mini/test_words.py",
    "mini/captions": "mini/test_scenes.py",
    "mini/gates": "mini/test_model.py",
    "mini/render": "mini/test_scenes.py",
    "mini/silhouettes": "mini/test_scenes.py",
    "mini/vocabulary": "mini/test_model.py",
    "nni/engine": "strategy/test_foreign.py",
    "nni/quiet": "cli/test_bad_input.py",
    "nni/supermodule": "strategy/test_darts.py",
    "nni/tpe": "experiments/test_tuner.py",
    "io/pages": "comparison/test_report.py",
    "observer": "test_console.py",
    "prompted": "prompted/test_clip.py",
    "prompted/stacked_contexts": "prompted/test_stacked.py",
    "prompted/stacked_text": "prompted/test_stacked.py",
    "runs/search_files": "runs/test_pipeline.py",
    "seeds": "training/test_batches.py",
    "space/limits": "space/test_space.py",
    "space/towers": "space/test_space.py",
    "strategy/base": "strategy/test_conformance.py",
    "strategy/bayesian": "strategy/test_conformance.py",
    "strategy/evolution": "strategy/test_conformance.py",
    "strategy/grid": "strategy/test_conformance.py",
    "strategy/gumbel_darts": "strategy/test_conformance.py",
    "strategy/manual": "strategy/test_conformance.py",
    "strategy/one_shot": "strategy/test_conformance.py",
    "strategy/one_tower": "strategy/test_conformance.py",
    "strategy/random": "strategy/test_conformance.py",
    "strategy/search": "strategy/test_conformance.py",
    "strategy/shortlist": "strategy/test_darts.py",
    "strategy/supernet": "strategy/test_darts.py",
    "strategy/tpe": "strategy/test_conformance.py",
    "strategy/trials_by_nni": "strategy/test_foreign.py",
    "tasks/coop": "tasks/coop/test_loading.py",
    "tasks/folder_notes": "tasks/test_folder.py",
    "tasks/image_files": "tasks/test_folder.py",
    "tasks/inventory": "tasks/coop/test_inventory.py",
    "tasks/loading": "tasks/test_folder.py",
    "tasks/one_folder": "tasks/test_rows.py",
    "tasks/settings": "tasks/test_folder.py",
    "tasks/tables": "tasks/test_manifest.py",
    "tasks/task": "tasks/test_mini.py",
    "tasks/templates": "tasks/test_folder.py",
    "tasks/text_sources": "tasks/test_texts.py",
    "tasks/views": "tasks/test_class_parts.py",
    "testing/strategies": "strategy/test_conformance.py",
    "testing/methods": "methods/test_conformance.py",
    "testing/small": "strategy/test_conformance.py",
    "training/evaluation": "training/test_prompts.py",
    "training/helper": "training/test_distributed.py",
    "training/loop": "training/test_few_shot.py",
    "training/model": "training/test_few_shot.py",
    "training/optimizers": "training/test_few_shot.py",
    "training/origin": "training/test_prompts.py",
    "training/teacher": "training/test_losses.py",
    "validation_score": "engine/test_evaluation.py",
}


def own(module: str) -> Path:
    """The file of tests that a module has by its place."""
    return TESTS / Path(module).parent / f"test_{Path(module).name}.py"


def modules() -> list[str]:
    found = (file.relative_to(PACKAGE).with_suffix("") for file in sorted(PACKAGE.rglob("*.py")))
    return [each.as_posix() for each in found if each.name != "__init__"]


@pytest.mark.parametrize("module", modules())
def test_it_is_plain_where_a_module_is_tested(module: str) -> None:
    rooms = [each.as_posix() for each in Path(module).parents if each.as_posix() != "."]
    assert any(own(each).exists() or each in ELSEWHERE for each in (module, *rooms)), (
        f"write {own(module)}, or say in ELSEWHERE where {module} is tested"
    )


@pytest.mark.parametrize("module", ELSEWHERE)
def test_what_is_said_of_other_places_holds(module: str) -> None:
    assert (TESTS / ELSEWHERE[module]).exists()
    assert not own(module).exists(), f"{module} has a file of its own"
    assert (PACKAGE / module).is_dir() or (PACKAGE / f"{module}.py").exists()
