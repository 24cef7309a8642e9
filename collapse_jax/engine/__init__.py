"""Run many chains: from a checked call of `simulate` to its records.

simulate, sweep     the calls
run_spec, devices   all choices that precede compilation
program             the compiled loop over generations; host_program is its plain twin
debug_program       the compiled loop with metrics as plain Python between two records
recorder            takes records into memory; disk_recorder onto disk; multiprocess across hosts
metadata            names, coordinates and provenance of records; expected has their theory
run_directory       makes a run directory, and checks that it holds the requested run
"""
