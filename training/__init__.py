"""The recipe of the embedded model `pocket`: what it is trained on, how, and how it is exported."""
