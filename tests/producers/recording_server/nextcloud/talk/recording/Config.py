"""Reads as much of `server.conf` as the stand-in needs."""

import configparser


class Config:
    """The settings."""

    def __init__(self):
        self._parser = configparser.ConfigParser()

    def load(self, fileName):
        """Reads the file."""
        self._parser.read(fileName)

    def getListen(self):
        """Address and port of the HTTP server."""
        return self._parser.get("http", "listen")


config = Config()
