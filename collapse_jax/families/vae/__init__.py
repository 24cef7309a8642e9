"""Define variational autoencoders: network, loss, training, and corpora drawn in training.

The modules `network`, `convolution` and `training` import flax and optax; `family` imports
them where they are used, because these imports are slow.
"""
