"""The model card of a shared classifier."""

from __future__ import annotations

from dpl_nas.classifier.saved import ClassifierMetadata, Leader

__all__ = ["model_card"]

#: Labels that are listed.
_LISTED = 50
_CARD = """\
---
library_name: dpl_nas
pipeline_tag: image-classification
license: {{ licence }}
tags: [clip, prompt-learning, few-shot]
---

# A classifier of pictures

It tells {{ m.labels | length }} classes apart:
{% for label in m.labels[:listed] %}`{{ label }}`{{ ", " if not loop.last }}{% endfor %}
{%- if m.labels | length > listed %} and {{ m.labels | length - listed }} more{% endif %}.

- Backbone: {{ source }}; the fingerprint of its weights is `{{ m.fingerprint }}`.
- Made of {{ m.images }} pictures, at most {{ m.shots }} a class, seed {{ m.seed }}; kind:
  {{ m.chosen }}{{ vectors(m.leaderboard[0].vectors) }}.
- On pictures that it was not made of (cross-fitting), {{ percent(m.leaderboard[0].accuracy) }} are
  right. It was chosen by these, so it may do worse on others.
- Transparent pictures are put on {{ m.background }}.

```python
from dpl_nas import PromptClassifier

classifier = PromptClassifier.from_pretrained("FOLDER OR NAME ON THE HUB")
classifier.predict(["picture.png"])
```

| candidate | accuracy | cross-entropy | vectors |
| --- | --- | --- | --- |
{% for each in m.leaderboard -%}
| {{ row(each) }} |
{% endfor %}"""


def model_card(metadata: ClassifierMetadata, licence: str = "unknown") -> str:
    """Return the README of a classifier: Markdown, with the Hub's fields at its head.

    Parameters
    ----------
    licence
        Licence of the classifier, such as ``mit``.
    """
    from jinja2 import Template

    backbone = metadata.backbone
    text: str = Template(_CARD).render(
        m=metadata,
        source=", ".join(filter(None, (backbone.model, backbone.pretrained))),
        licence=licence,
        listed=_LISTED,
        percent=lambda share: f"{share:.1%}",
        row=_row,
        vectors=lambda count: "" if count is None else f", {count} context vectors",
    )
    return text + "\n"


def _row(leader: Leader) -> str:
    count = "-" if leader.vectors is None else leader.vectors
    return f"{leader.name} | {leader.accuracy:.1%} | {leader.loss:.3f} | {count}"
