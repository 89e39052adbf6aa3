"""What would fill the log if it were told each time: the first is told at once, and those of a minute together."""

import logging
import time

#: Between two lines about the same thing.
MINUTE_SECONDS = 60.0


class Complaint:
    """One thing to complain about. ``text`` takes the number since the last line, and what belongs to the latest."""

    def __init__(self, logger: logging.Logger, text: str) -> None:
        self._logger = logger
        self._text = text
        self._count = 0
        self._next = 0.0

    def tell(self, *about: object) -> None:
        """It has happened again."""
        self._count += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + MINUTE_SECONDS
            count, self._count = self._count, 0
            self._logger.warning(self._text, count, *about)
