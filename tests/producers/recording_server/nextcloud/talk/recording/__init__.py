"""A stand-in for the Nextcloud Talk recording server, which no package registry has.

It has the modules, functions, metrics and lists that `lifecycle_events.talk_recording` holds on to, under the same names, and changes its
metrics at the same points and in the same order as the server's `Server.py` of version 0.2 does: in `_startRecordingService` and
`_stopRecordingService`. What is recorded is nothing; `Service` does what a test tells it.
"""

__version__ = "0.2.0"
