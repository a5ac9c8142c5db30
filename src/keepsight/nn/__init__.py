"""The networks: pure functions of images, prompts and memory. Nothing here holds the state of a video."""
