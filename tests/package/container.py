"""Checks an archive of the container image against the image format: container.py ARCHIVE

Every file is what the one that names it says (size, sum), none is left over, both platforms are there, and the layers
hold what they should: only plain files and directories, with fixed times and owners, that nobody else may write.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from datetime import datetime

MACHINES = {"amd64": 62, "arm64": 183}  # as ELF numbers them
USER = 10048
OWN = {"run/lifecycle-exporter": 0o750, "var/lib/lifecycle-exporter": 0o700}
PROGRAM = "usr/bin/lifecycle-exporter"


def main():
    with tarfile.open(sys.argv[1]) as tar:
        assert [entry.name for entry in tar] == sorted(entry.name for entry in tar), "the order is fixed"
        files = {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}
    seen = {"oci-layout", "index.json", "manifest.json"}

    def read(descriptor):
        path = "blobs/" + descriptor["digest"].replace(":", "/")
        data = files[path]
        assert len(data) == descriptor["size"], path
        assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"], path
        seen.add(path)
        return data

    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (top,) = json.loads(files["index.json"])["manifests"]
    platforms = []
    for descriptor in json.loads(read(top))["manifests"]:
        manifest = json.loads(read(descriptor))
        config = json.loads(read(manifest["config"]))
        for key in ("architecture", "os"):
            assert config[key] == descriptor["platform"][key], descriptor
        (layer,) = manifest["layers"]
        layer = gzip.decompress(read(layer))
        assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
        assert config["config"]["User"] == f"{USER}:{USER}"
        check_layer(layer, config)
        platforms.append(config["architecture"])
    assert platforms == ["amd64", "arm64"], platforms
    for image in json.loads(files["manifest.json"]):
        assert {image["Config"], *image["Layers"]} <= seen, image
    assert seen == set(files), seen ^ set(files)


def check_layer(layer, config):
    """Looks at each file, and at the program for what it needs."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        entries = {entry.name: entry for entry in tar}
        program = tar.extractfile(PROGRAM).read()
    created = datetime.fromisoformat(config["created"]).timestamp()
    for name, entry in entries.items():
        assert entry.isfile() or entry.isdir(), name
        assert entry.mtime == created, name
        owner = USER if name in OWN else 0
        assert (entry.uid, entry.gid) == (owner, owner), name
        assert entry.mode == OWN.get(name, entry.mode) and entry.mode & 0o7022 == 0, (name, oct(entry.mode))
    assert set(OWN) <= set(entries)
    check_program(program, MACHINES[config["architecture"]])


def check_program(program, machine):
    """It is for this machine, and asks for no loader and no library."""
    number = lambda at, size: int.from_bytes(program[at : at + size], "little")
    assert program[:6] == b"\x7fELF\x02\x01"
    assert number(18, 2) == machine
    table, size, count = number(32, 8), number(54, 2), number(56, 2)
    kinds = [number(table + index * size, 4) for index in range(count)]
    interpreter = 3
    assert interpreter not in kinds, "it is linked dynamically"


if __name__ == "__main__":
    main()
