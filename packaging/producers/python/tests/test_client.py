"""What the host may rely on: nothing raises, nothing waits, a fork is a run of its own, and the end of the program is one in good order."""

import enum
import json
import logging
import math
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
from contextlib import contextmanager
from pathlib import Path

from lifecycle_events import Client

from .listener import PATIENCE_SECONDS, Listener

HERE = Path(__file__).resolve().parents[1]


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class ClientTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "events.sock")
        self.listener = Listener(self.path)
        self.addCleanup(self.listener.close)

    @contextmanager
    def rejecting(self, on_rejected):
        """A client whose one event an exporter has just rejected, with the exporter's side of the connection."""
        path = self.path + "-rejecting"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            client = Client(path, on_rejected=on_rejected)
            client.emit("a.one")
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                lines.readline()
                connection.sendall(b'{"ack":0}\n')
                lines.readline()
                connection.sendall(b'{"rejected":1,"reason":"unknown_event","detail":""}\n')
                yield client, connection, lines

    def run_program(self, text, **environment):
        return subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, "LIFECYCLE_EVENTS_SOCKET": self.path, **environment},
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def run_well(self, text):
        """The same for a program that ends with 0. Returns it when it has ended."""
        done = self.run_program(text)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def hellos(self):
        """The names that were told, each once, and the number of instances."""
        hellos = [lines[0] for lines in self.listener.sessions]
        return sorted({hello["hello"] for hello in hellos}), len({hello["instance"] for hello in hellos})

    def test_what_is_no_json_is_dropped_and_told_and_the_next_event_goes_on(self):
        class Rude:
            def __str__(self):
                raise RuntimeError("rude")

        with self.assertLogs("lifecycle_events", logging.WARNING), Client(self.path) as client:
            client.emit("a.nan", value=math.nan)
            client.emit("a.rude", value=Rude())
            client.emit("a.time", time="yesterday")
            client.emit("a.path", value=Path("/x"))
            self.assertTrue(client.close())
        self.assertEqual(client.stats().dropped, 3)
        self.listener.wait_for(lambda sessions: sessions and sessions[0][-1] == {"bye": True})
        self.assertEqual([line.get("value") for line in self.listener.sessions[0][1:-1]], ["/x"])

    def test_what_is_sent_as_its_text_is_cut_like_text_and_names_are_not(self):
        class Colour(str, enum.Enum):
            RED = "red"

        name = "n" * 5000
        with Client(self.path) as client:
            client.emit("a.path", value=Path("/" + "x" * 5000), colour=Colour.RED, rest=["ü"])
            client.emit("a.\ud800", **{name: 1, "\udfff": 2})
        self.listener.wait_for(lambda sessions: sessions and sessions[0][-1] == {"bye": True})
        texts, names = self.listener.sessions[0][1:-1]
        self.assertEqual(texts, {"event": "a.path", "value": "/" + "x" * 4092 + "…", "colour": "red", "rest": ["ü"], "time": texts["time"]})
        self.assertEqual(names, {"event": "a.\ufffd", name: 1, "\ufffd": 2, "time": names["time"]})

    def test_a_line_that_is_too_long_with_short_texts_is_told(self):
        with self.assertLogs("lifecycle_events", logging.WARNING) as logs, Client(self.path) as client:
            client.emit("a.long", **{"n" * 70_000: 1})
            self.assertTrue(client.close())
        self.assertEqual(client.stats().dropped, 1)
        self.assertRegex(logs.output[0], r"1 events were no JSON, the latest: a.long: the line has 700\d\d bytes, and may have 65000")

    def test_a_callback_that_raises_harms_nobody(self):
        def fail(_):
            raise RuntimeError("no")

        with self.assertLogs("lifecycle_events", logging.ERROR), self.rejecting(fail) as (client, connection, lines):
            connection.sendall(b'{"ack":1}\n')
            closing = threading.Thread(target=client.close)
            closing.start()
            self.assertEqual(json.loads(lines.readline()), {"bye": True})
        closing.join(PATIENCE_SECONDS)
        self.assertEqual(client.stats().rejected, 1)

    def test_a_callback_may_close_its_client(self):
        called = threading.Event()
        clients = []
        with self.rejecting(lambda _: (wait_until(lambda: clients), clients[0].close(), called.set())) as (client, connection, lines):
            clients.append(client)
            connection.sendall(b'{"ack":1}\n')
            self.assertTrue(called.wait(PATIENCE_SECONDS))
            self.assertEqual(json.loads(lines.readline()), {"bye": True})

    def test_options_that_make_no_sense_are_errors_where_they_are_written(self):
        with self.assertRaisesRegex(ValueError, "buffer is 0"):
            Client(self.path, buffer=0)
        with self.assertRaisesRegex(ValueError, "overflow is 'middle'"):
            Client(self.path, overflow="middle")

    def test_a_misspelt_event_is_an_error_where_it_is_written(self):
        client = Client(self.path)
        with self.assertRaises(AttributeError):
            client.recording.startd(backend="b", recording="r")
        with self.assertRaises(TypeError):
            client.recording.started(backend="b")
        client.close(0)

    def test_the_end_of_the_program_is_one_in_good_order(self):
        self.run_program("from lifecycle_events import Client\nClient(producer='p').emit('a.one')")
        self.listener.wait_for(lambda sessions: sessions and len(sessions[0]) == 3)
        self.assertEqual(self.listener.sessions[0][1]["event"], "a.one")
        self.assertEqual(self.listener.sessions[0][2], {"bye": True})

    def test_a_fork_is_a_run_of_its_own_with_an_empty_buffer(self):
        self.run_well(
            "import os\n"
            "from lifecycle_events import Client\n"
            "client = Client(producer='p')\n"
            "client.emit('a.parent')\n"
            "pids = []\n"
            "for _ in range(3):\n"
            "    pid = os.fork()\n"
            "    if pid == 0:\n"
            "        client.emit('a.child')\n"
            "        os._exit(0 if client.close() else 1)\n"
            "    pids.append(pid)\n"
            "client.emit('a.parent')\n"
            "assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)\n"
            "assert client.close()\n"
        )
        self.listener.wait_for(lambda sessions: sum(lines[-1] == {"bye": True} for lines in sessions) == 4)
        told = sorted([line.get("event") for line in lines[1:-1]] for lines in self.listener.sessions)
        self.assertEqual(told, [["a.child"], ["a.child"], ["a.child"], ["a.parent", "a.parent"]])
        self.assertEqual(self.hellos(), (["p"], 4))

    def test_a_signal_handler_may_emit_in_the_midst_of_an_emit(self):
        self.run_well(
            "import signal, threading, os\n"
            "from lifecycle_events import Client\n"
            "client = Client(producer='p', buffer=1_000_000)\n"
            "handled = 0\n"
            "def handle(*_):\n"
            "    global handled\n"
            "    handled += 1\n"
            "    client.emit('a.signal')\n"
            "signal.signal(signal.SIGALRM, handle)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\n"
            "while handled < 100:\n"
            "    client.emit('a.one')\n"
            "signal.setitimer(signal.ITIMER_REAL, 0)\n"
            "assert client.close(None)\n"
            "assert client.stats().acknowledged == client.stats().emitted, client.stats()\n"
        )

    def test_a_signal_handler_may_close_in_the_midst_of_an_emit(self):
        self.run_well(
            "import signal, sys, time\n"
            "from lifecycle_events import Client\n"
            "client = Client(producer='p')\n"
            "def handle(*_):\n"
            "    began = time.monotonic()\n"
            "    client.close(5)\n"
            "    sys.exit(time.monotonic() - began > 4)\n"
            "signal.signal(signal.SIGALRM, handle)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
            "while True:\n"
            "    client.emit('a.one')\n"
        )

    def test_a_signal_handler_may_emit_in_the_midst_of_the_very_first_emit(self):
        self.run_well(
            "import signal, threading\n"
            "from lifecycle_events import Client\n"
            "client = None\n"
            "signal.signal(signal.SIGALRM, lambda *_: client.emit('a.signal'))\n"
            "start = threading.Thread.start\n"
            "def interrupted(thread):\n"
            "    signal.raise_signal(signal.SIGALRM)\n"
            "    start(thread)\n"
            "threading.Thread.start = interrupted\n"
            "client = Client(producer='p')\n"
            "client.emit('a.one')\n"
            "assert client.close(5)\n"
            "assert client.stats().acknowledged == 2, client.stats()\n"
        )

    def test_a_thread_that_cannot_start_is_tried_again(self):
        done = self.run_well(
            "import threading\n"
            "from lifecycle_events import Client\n"
            "start = threading.Thread.start\n"
            "def fail(_):\n"
            "    raise RuntimeError(\"can't start new thread\")\n"
            "threading.Thread.start = fail\n"
            "client = Client(producer='p')\n"
            "client.emit('a.one')\n"
            "threading.Thread.start = start\n"
            "client.emit('a.two')\n"
            "assert client.close(5) and client.stats().acknowledged == 2, client.stats()\n"
        )
        self.assertIn("could not be started, will try again", done.stderr)

    def test_closing_waits_no_longer_than_told_for_a_callback_of_the_host(self):
        busy, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)
        with self.rejecting(lambda _: (busy.set(), go_on.wait())) as (client, _, _):
            self.assertTrue(busy.wait(PATIENCE_SECONDS))
            self.assertFalse(client.close(0.01))

    def test_closing_does_not_sleep_out_a_long_pause(self):
        with self.assertLogs("lifecycle_events", logging.WARNING) as logs:
            client = Client(self.path + "5", reconnect_seconds=(1000, 1000))
            client.emit("a.one")
            wait_until(lambda: logs.output)
            late = Listener(self.path + "5")
            self.addCleanup(late.close)
            self.assertTrue(client.close(None))

    def test_closing_right_before_a_long_pause_does_not_sleep_it_out(self):
        client = Client(self.path + "5", reconnect_seconds=(1000, 1000))
        closed = queue.Queue()

        def fail(*_):
            """Called between an attempt and the pause after it."""
            late = Listener(self.path + "5")
            self.addCleanup(late.close)
            threading.Thread(target=lambda: closed.put(client.close(None)), daemon=True).start()
            wait_until(client.is_closed)

        with unittest.mock.patch.object(logging.getLogger("lifecycle_events"), "warning", fail):
            client.emit("a.one")
            self.assertTrue(closed.get(timeout=PATIENCE_SECONDS))

    def test_pauses_grow_to_5_seconds_by_default(self):
        pauses = []
        client = Client("/nowhere/events.sock")

        def pause(seconds, _):
            pauses.append(seconds)
            client._giving_up = len(pauses) == 50

        client._pause = pause
        with self.assertLogs("lifecycle_events", logging.WARNING):
            client.emit("a.one")
            client._thread.join(PATIENCE_SECONDS)
        self.assertLessEqual(max(pauses), 5)
        self.assertGreater(max(pauses), 2.5)

    def test_clients_without_a_name_are_runs_of_one_producer(self):
        with Client(self.path) as one, Client(self.path) as two:
            one.emit("a.one")
            two.emit("a.two")
        self.listener.wait_for(lambda sessions: len(sessions) == 2)
        names, instances = self.hellos()
        self.assertEqual((len(names), instances), (1, 2))

    def test_no_exporter_no_trouble(self):
        done = self.run_program(
            "from lifecycle_events import Client\nclient = Client()\nclient.emit('a.one')\nprint('goes on')\n",
            LIFECYCLE_EVENTS_SOCKET="/nowhere/events.sock",
        )
        self.assertEqual((done.returncode, done.stdout), (0, "goes on\n"))
        self.assertIn("/nowhere/events.sock cannot be reached", done.stderr)

    def test_a_producer_without_a_name_is_the_program(self):
        program = "from lifecycle_events import Client\nif __name__ == '__main__':\n    Client().emit('a.one')\n"
        function = "from lifecycle_events import Client\ndef child():\n    Client().emit('a.one')\n"
        in_a_child = (
            "if __name__ == '__main__':\n    import multiprocessing\n"
            "    process = multiprocessing.get_context('spawn').Process(target=child)\n    process.start()\n    process.join()\n"
        )
        with tempfile.TemporaryDirectory() as directory:
            files = {
                "script.py": program,
                "spawns.py": function + in_a_child,
                "n" * 250 + ".py": program,
                "package/__init__.py": "",
                "package/__main__.py": program,
                "package/module.py": program,
                "worker/__init__.py": "",
                "worker/__main__.py": "from .run import child\n" + in_a_child,
                "worker/run.py": function,
            }
            for name, text in files.items():
                path = Path(directory, name)
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
            for arguments, name in [
                (["script.py"], "script.py"),
                (["./script.py"], "script.py"),
                (["spawns.py"], "spawns.py"),
                (["n" * 250 + ".py"], "n" * 197 + "…"),
                (["-m", "package.module"], "package.module"),
                (["-m", "package"], "package"),
                (["package"], "package"),
                (["-m", "worker"], "worker"),
                (["-c", program], "python"),
            ]:
                with self.subTest(arguments=arguments[:2]):
                    count = len(self.listener.sessions)
                    done = subprocess.run(
                        [sys.executable, *arguments],
                        env={**os.environ, "LIFECYCLE_EVENTS_SOCKET": self.path, "PYTHONPATH": str(HERE)},
                        cwd=directory,
                        timeout=PATIENCE_SECONDS,
                        check=False,
                    )
                    self.assertEqual(done.returncode, 0)
                    self.listener.wait_for(lambda sessions: len(sessions) == count + 1)
                    self.assertEqual(self.listener.sessions[-1][0]["hello"], name)
