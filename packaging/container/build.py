#!/usr/bin/env python3
"""Writes the container image, without a daemon and with Python's standard library alone: build.py DIRECTORY

Compiles the program for each platform, with all that it needs in one file. Leaves in DIRECTORY an archive with
an image for each, and its sum in SHA256SUMS. The same commit gives the same bytes: times are that of the commit
(SOURCE_DATE_EPOCH), entries have a fixed order, owners are numbers.

The archive is an OCI image layout, and has the list that `docker load` reads beside it. Both name the same files.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "lifecycle-exporter"
# The user and the group, which producers get as a supplementary group.
UID = 10048
PORT = 10048
SOCKETS = f"run/{NAME}"
STATE = f"var/lib/{NAME}"
PROGRAM = f"/usr/bin/{NAME}"
# Architectures as images name them, and the targets of the compiler.
TARGETS = {"amd64": "x86_64-unknown-linux-musl", "arm64": "aarch64-unknown-linux-musl"}
OCI = "application/vnd.oci.image"
SECOND = 1_000_000_000  # as nanoseconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where the archive goes")
    parser.add_argument("--platform", action="append", choices=TARGETS, help="only this one [all]")
    arguments = parser.parse_args()

    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct"))
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    archive = Archive(epoch)
    manifests = []
    for architecture in arguments.platform or TARGETS:
        layer = layer_of(compiled(TARGETS[architecture]), epoch)
        manifests.append(archive.add_image(architecture, layer, package))
    path = arguments.directory / f"{NAME}-{package['version']}.oci.tar"
    arguments.directory.mkdir(parents=True, exist_ok=True)
    data = archive.finish(manifests, package["version"])
    path.write_bytes(data)
    (path.parent / "SHA256SUMS").write_text(f"{hashlib.sha256(data).hexdigest()}  {path.name}\n")
    print(path)


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def compiled(target):
    """The program for a target, which needs nothing of the system that it runs on."""
    variable = "CARGO_TARGET_" + target.upper().replace("-", "_") + "_LINKER"
    # Rust brings a linker for every target; the machine's own knows its own kind.
    environment = {variable: "rust-lld", **os.environ}
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--target", target]
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    folder = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    return (ROOT / folder / target / "release" / NAME).read_bytes()


def layer_of(program, epoch):
    """All files of the image, as an uncompressed tar archive."""
    read = lambda path: (ROOT / path).read_bytes()
    directories = ["etc", "run", "usr", "usr/bin", "usr/share", "usr/share/doc", "var", "var/lib"]
    entries = [(path, 0o755, 0, None) for path in directories]
    entries += [
        (f"etc/{NAME}", 0o755, 0, None),
        (f"etc/{NAME}/catalog.d", 0o755, 0, None),
        (f"etc/{NAME}/{NAME}.conf", 0o644, 0, read(f"packaging/container/{NAME}.conf")),
        ("etc/group", 0o644, 0, f"root:x:0:\n{NAME}:x:{UID}:\n".encode()),
        ("etc/passwd", 0o644, 0, (
            "root:x:0:0:root:/:/nonexistent\n" f"{NAME}:x:{UID}:{UID}:{NAME}:/:/nonexistent\n"
        ).encode()),
        # Members of the group enter, and may not put a socket of their own in the place of ours.
        (SOCKETS, 0o750, UID, None),
        (STATE, 0o700, UID, None),
        (PROGRAM.lstrip("/"), 0o755, 0, program),
        (f"usr/share/doc/{NAME}", 0o755, 0, None),
        (f"usr/share/doc/{NAME}/LICENSE", 0o644, 0, read("LICENSE")),
        (f"usr/share/doc/{NAME}/copyright", 0o644, 0, read("packaging/debian/copyright")),
    ]
    return tar_of(entries, epoch)


def tar_of(entries, epoch):
    """A tar archive of (path, mode, owner, content); without content it is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, mode, owner, content in sorted(entries):
            info = tarfile.TarInfo(path)
            info.mtime, info.mode, info.uid, info.gid = epoch, mode, owner, owner
            if content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Archive:
    """The files of an OCI image layout."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
        self.files = {}
        self.for_docker = []

    def add(self, kind, data, **more):
        """Adds a file under its sum. Returns what others name it by."""
        data = data if isinstance(data, bytes) else json.dumps(data, sort_keys=True).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data), **more}

    def add_image(self, architecture, layer, package):
        """Adds the image of a platform. Returns what the list of platforms names it by."""
        labels = {f"org.opencontainers.image.{name}": value for name, value in {
            "created": self.created,
            "description": package["description"],
            "licenses": package["license"],
            "revision": git("rev-parse", "HEAD"),
            "title": NAME,
            "version": package["version"],
        }.items()}
        check = {"Test": ["CMD", PROGRAM, "check", "--alive"], "Interval": 30 * SECOND, "Timeout": 5 * SECOND,
                 "StartPeriod": 10 * SECOND, "Retries": 3}
        config = self.add("config.v1+json", {
            "architecture": architecture,
            "os": "linux",
            "created": self.created,
            "config": {
                "User": f"{UID}:{UID}",
                "Entrypoint": [PROGRAM],
                # A configuration that is mounted need not say where state is kept.
                "Env": ["PATH=/usr/bin", f"STATE_DIRECTORY=/{STATE}"],
                "ExposedPorts": {f"{PORT}/tcp": {}},
                "Volumes": {f"/{SOCKETS}": {}, f"/{STATE}": {}},
                "WorkingDir": "/",
                "StopSignal": "SIGTERM",
                "Labels": labels,
                # Docker's extension of the format; others pass over it.
                "Healthcheck": check,
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
            "history": [{"created": self.created, "created_by": "packaging/container/build.py"}],
        })
        layer = self.add("layer.v1.tar+gzip", gzip.compress(layer, compresslevel=9, mtime=0))
        path = lambda descriptor: "blobs/" + descriptor["digest"].replace(":", "/")
        self.for_docker.append({
            "Config": path(config),
            "Layers": [path(layer)],
            "RepoTags": [f"{NAME}:{package['version']}-{architecture}"],
        })
        return self.add("manifest.v1+json", {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": config,
            "layers": [layer],
            "annotations": labels,
        }, platform={"architecture": architecture, "os": "linux"})

    def finish(self, manifests, version):
        """The whole archive, with the list of platforms under one name."""
        index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json"}
        # The format has the tag only; Docker and Podman look for the whole name first.
        name = {
            "io.containerd.image.name": f"docker.io/library/{NAME}:{version}",
            "org.opencontainers.image.ref.name": version,
        }
        top = self.add("index.v1+json", {**index, "manifests": manifests}, annotations=name)
        self.files["index.json"] = json.dumps({**index, "manifests": [top]}, sort_keys=True).encode()
        self.files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
        self.files["manifest.json"] = json.dumps(self.for_docker, sort_keys=True).encode()
        entries = [(path, 0o644, 0, data) for path, data in self.files.items()]
        return tar_of([("blobs", 0o755, 0, None), ("blobs/sha256", 0o755, 0, None), *entries], self.epoch)


if __name__ == "__main__":
    main()
