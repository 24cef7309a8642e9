"""Fit Gaussian mixtures: starts, expectation-maximisation, matching of components."""
