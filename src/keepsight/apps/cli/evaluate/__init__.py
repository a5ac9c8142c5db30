"""`keepsight eval`: benchmarks, from a folder to tables.

options.py    what may be said on the command line
job.py        the same, checked
tracking.py   one sequence through a session
record.py     what one sequence came to, as a line of JSON
results.py    the file of these lines, from which a stopped run goes on
run.py        everything in order
report.py     tables, CSV and JSON
"""
