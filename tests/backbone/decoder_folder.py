"""Small random decoders in folders, as transformers saves them."""

from pathlib import Path
from typing import Any

import torch

from tests.word_tokenizer import save_tokenizer

__all__ = ["WORDS", "save_decoder"]

WORDS = ["<s>", "<unk>", "good", "bad", "Topic", ":", "the", "film", "was", "fine", "great"]
WORDS += ["awful", "dull", "a", "grey", "white", "dark"]
_SIZES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 24},
    "llama": {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 24,
    },
}


def save_decoder(folder: Path, kind: str = "gpt2") -> Path:
    """Save a model whose tokens are :data:`WORDS`, with its tokenizer; return the folder."""
    from transformers import AutoConfig, AutoModelForCausalLM

    save_tokenizer(folder, WORDS, unk_token=WORDS[1], bos_token=WORDS[0])
    sizes = _SIZES[kind] | {"bos_token_id": 0, "eos_token_id": None, "vocab_size": len(WORDS)}
    config = AutoConfig.for_model(kind, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
