"""HTTP and the WebSocket: thin, everything is done by the studio.

bodies.py   what is sent and answered, as pydantic models
gate.py     who may ask, and how much may be sent
answers.py  errors as {"error": sentence}
routes/     one file per noun
events.py   the WebSocket
page.py     the page's files
app.py      all of it as one application
serving.py  a port, and the application on it
"""
