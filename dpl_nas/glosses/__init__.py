"""A small causal language model of WordNet's glosses, and its tasks of texts."""

from dpl_nas.glosses.model import load_gloss_decoder
from dpl_nas.glosses.tasks import GlossTask, load_texts
from dpl_nas.glosses.tokens import load_gloss_tokenizer

__all__ = ["GlossTask", "load_gloss_decoder", "load_gloss_tokenizer", "load_texts"]
