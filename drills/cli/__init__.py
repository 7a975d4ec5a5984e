"""The meshdrill command: app.py declares it, each other file does the work of one command or of several."""
