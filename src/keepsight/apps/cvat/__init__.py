"""keepsight behind CVAT: a tracker function for Nuclio, one for agents, and a command for whole jobs.

settings.py   what a deployment chooses, by environment variables
wire.py       requests and answers as CVAT writes them
pictures.py   image files of every kind
figures.py    shapes as prompts, masks as shapes
envelope.py   what is kept of an object between two frames
follower.py   objects begun on one picture and followed into the next
service.py    a request answered
nuclio.py     the function
agent.py      the same for agents: what cvat-cli calls
command.py    `keepsight cvat`
job/          `keepsight cvat track`: a job's shapes tracked through its frames, on a server or in files
"""
