"""Serves as many series as it is told with prometheus_client."""
import signal
import sys

from prometheus_client import REGISTRY, Counter, start_http_server

for collector in list(REGISTRY._collector_to_names):
    REGISTRY.unregister(collector)
MESSAGES = Counter("signaling_server_messages", "Messages", ["type"])
for index in range(int(sys.argv[2])):
    MESSAGES.labels(f"a-type-of-message-{index:010}").inc()
start_http_server(int(sys.argv[1]), "127.0.0.1")
signal.pause()
