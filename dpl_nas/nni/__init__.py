"""Everything that touches NNI: the model space, its supermodule, the engine, trials."""
