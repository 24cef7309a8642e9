"""Runs of many chains: from a checked call of `simulate` to its records.

simulate, sweep     the calls
run_spec, devices   everything decided before anything is compiled
program             the compiled loop over generations; host_program is its plain twin
recorder            takes what is measured, in memory; disk_recorder and multiprocess elsewhere
metadata            names, coordinates and provenance of records; expected has their theory
run_directory       what a run directory holds, and whether it is the run that is asked for
"""
