"""The whole idea: a source fills a corpus, a family fits it, a policy makes the next corpus.

Read corpus, samples, source, policy, family, chain, in this order; nothing here knows how
chains are run.
"""
