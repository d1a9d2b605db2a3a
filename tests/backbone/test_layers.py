import re

import pytest

from dpl_nas.backbone import Backbone, check_layers, missing_layers
from dpl_nas.errors import ArchitectureError, CheckpointError, DplError


def test_layers_that_a_tower_does_not_have() -> None:
    assert missing_layers(3, [0, 2]) == ()
    assert missing_layers(3, [-1, 0, 2, 3, 7]) == (-1, 3, 7)
    assert missing_layers(0, [0]) == (0,)


@pytest.mark.parametrize("error", [ArchitectureError, CheckpointError])
def test_the_last_that_is_missing_is_told(small_backbone: Backbone, error: type[DplError]) -> None:
    check_layers(small_backbone, "image", [0, 1, 2], asks="it has", error=error)
    sentence = "it has text/5, but the text tower of test-small has 2 layers, counted from 0"
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        check_layers(small_backbone, "text", [0, 2, 5], asks="it has", error=error)
    with pytest.raises(error, match=f"^{re.escape(sentence)}: mend it$"):
        check_layers(small_backbone, "text", [5], asks="it has", error=error, remedy="mend it")
