"""The command line of the recording server."""

import argparse

from . import __version__
from .Config import config
from .Server import run


def main():
    """Runs the server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-c", "--config", default="server.conf")
    parser.add_argument("-v", "--version", action="store_true")
    arguments = parser.parse_args()
    if arguments.version:
        print(__version__)
        return
    config.load(arguments.config)
    run()


if __name__ == "__main__":
    main()
