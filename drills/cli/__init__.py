"""The meshdrill command: app.py declares it, and each other file implements a command or what several share."""
