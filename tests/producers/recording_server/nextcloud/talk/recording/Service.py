"""One recording, of nothing."""

import threading


class Service:
    """Starts when told and runs until it is stopped."""

    def __init__(self, backend, token, status, owner):
        self.backend = backend
        self.token = token
        self.status = status
        self.owner = owner
        self._ended = threading.Event()

    def start(self, actorType, actorId):
        """Returns when the recording has ended; raises when it ended by itself."""
        self._ended.wait()
        if actorId == "unlucky":
            raise RuntimeError("the recorder ended by itself")

    def stop(self, actorType, actorId):
        """Ends the recording and uploads it; raises when that failed."""
        self._ended.set()
        if actorId == "offline":
            raise RuntimeError("the backend does not answer")

    def getRecordingDuration(self):
        """Whole seconds."""
        return 7
