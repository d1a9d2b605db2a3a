"""NNI in this process: the model space, its supermodules, the engines, a tuner."""

__all__: list[str] = []
