"""`keepsight annotate`: point, track, see where it went wrong, correct, done: in the browser.

command.py        `keepsight annotate`
options.py        what it may be told
names.py          models and policies, known without PyTorch
allowed.py        the folders that may be opened
startup.py        from what was told to a running server
errors.py         refusals, and the HTTP statuses that they are told with

project/          the file beside the video that holds everything: objects, shapes, history, runs
clip.py           the video
frames.py         its frames as JPEGs
interpolation.py  what is seen of an object between its keyframes
drawing.py        what is drawn by hand, checked
conversion.py     shapes of one kind made another

worker.py         the one thread that uses the network
desk.py           clicks answered on one frame
passes.py         the frames that a run goes through
run.py            a run, frame by frame
runs.py           runs begun, cancelled, gone on with
reviewing.py      which frames are likely wrong
comparing.py      tracking back, to see where the two ways part
studio.py         what can be done to a project: all of the above, for whoever asks

exchange/         the project as files of other programs, and theirs into it
server/           HTTP and the WebSocket
page/             what the browser is sent

Nothing here imports PyTorch before the worker needs it, so the page is there before the model is.
"""
