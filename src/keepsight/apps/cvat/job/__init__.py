"""`keepsight cvat track`: the shapes on one frame of a job, tracked through its others.

labeled.py       a job's annotations as values
mark.py          how a keyframe that keepsight wrote is told from one made by hand
visible.py       what a track shows on a frame
selecting.py     which objects are meant
course.py        what is going to be done with each
frames.py        a job's frames as a source
tracking.py      from the start frame to the target
merging.py       what has to change in the job
rest.py          CVAT's JSON, in and out
xml_reading.py   CVAT's XML as values
xml_writing.py   changes in CVAT's XML
server.py        a job on a server
files.py         a job in files
interrupts.py    Ctrl-C while something is written
options.py       what the command may be told
run.py           one run
report.py        what it did, in a table
"""
