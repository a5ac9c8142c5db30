"""`keepsight review`: which frames of a tracked clip to look at first.

options.py  what may be said on the command line
job.py      from there to what to do, and doing it
report.py   the ranking as a table and as JSON
"""
