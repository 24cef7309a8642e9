"""Exact expectations and laws that simulations are held against, each with its source.

gaussian     Replace, in any dimension, with sampling bias; first-order expansions
keeping      Gaussian chains that keep or add data
discrete     closed forms of chains of frequencies
ancestors    the ancestral dual: support, absorption, surviving mass for every p_0
ancestor_chains  simulation of the dual, hundreds of times faster than the chain
enumeration  all states of a small chain as one matrix
bounds       published bounds
"""
