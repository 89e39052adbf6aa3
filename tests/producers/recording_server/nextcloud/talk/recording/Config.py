"""Reads as much of `server.conf` as the stand-in needs."""

import configparser


class Config:
    """The settings."""

    def __init__(self):
        self._parser = configparser.ConfigParser()

    def load(self, fileName):
        """Reads the file."""
        self._parser.read(fileName)

    def getBackendSecret(self, backendUrl):
        """The secret shared with a backend, however many slashes end its URL. None: it is not a known one."""
        if self._parser.get("backend", "allowall", fallback=None) == "true":
            return self._parser.get("backend", "secret")
        for name in self._parser.get("backend", "backends", fallback="").split(","):
            section = self._parser[name.strip()]
            if "url" in section and "secret" in section and section["url"].rstrip("/") == backendUrl.rstrip("/"):
                return section["secret"]
        return None

    def getListen(self):
        """Address and port of the HTTP server."""
        return self._parser.get("http", "listen")


config = Config()
