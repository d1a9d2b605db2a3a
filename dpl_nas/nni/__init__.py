"""NNI in this process: the model space, its supermodule, the engine, tuners of its own."""

__all__: list[str] = []
