"""Variational autoencoders: network, loss, training, and corpora drawn while they are trained on.

Modules here import flax and optax; `families/vae.py` imports them where they are used.
"""
