"""Store runs in directories: atomic files, and a journal with the checksum of each.

The modules build on each other in the order files, journal, arrays, directory. None of them
depends on chains.
"""
