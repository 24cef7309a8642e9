"""Run directories: files that are there whole or not at all, and a journal that vouches for them.

files -> journal -> arrays -> directory; nothing here knows what a chain is.
"""
