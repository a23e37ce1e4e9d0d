"""Packages that handlers bring in their zips: wheels as pip installs them, and a program of Go's."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from .agents import zipped
from .server import REPOSITORY, target

HANDLERS = REPOSITORY / "conformance" / "handlers"


class Packages:
    """Installed by pip from PyPI, and kept below the target directory as the zip that results."""

    def __init__(self):
        lines = (HANDLERS / "requirements.txt").read_text().split()
        self._pinned = {line.split("==")[0].split("[")[0]: line for line in lines}

    def zip(self, *names):
        """A zip with these packages and what they need; nothing for none."""
        if not names:
            return b""
        wanted = [self._pinned[name] for name in names]
        version = "%d.%d" % sys.version_info[:2]
        digest = hashlib.sha256(" ".join([version, *wanted]).encode()).hexdigest()[:12]
        place = target() / "handlers" / f"{digest}.zip"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            half = place.with_suffix(f".{os.getpid()}")
            half.write_bytes(self._packed(wanted))
            half.rename(place)
        return place.read_bytes()

    @staticmethod
    def _packed(wanted):
        with tempfile.TemporaryDirectory() as folder:
            # Wheels alone: they are what people put into a zip.
            subprocess.run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile",
                 "--disable-pip-version-check", "--only-binary", ":all:", "--target", folder, *wanted],
                check=True,
            )
            found = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
            return zipped({str(path.relative_to(folder)): path.read_bytes() for path in found})


def go_binary():
    """The function in Go, compiled as for Lambda: without C, for this machine."""
    go = shutil.which("go")
    assert go, "go is missing; install it (Debian: apt-get install golang-go)"
    source, home = HANDLERS / "code" / "main.go", target() / "handlers" / "go"
    home.mkdir(parents=True, exist_ok=True)
    binary = home / hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    if not binary.exists():
        variables = {"CGO_ENABLED": "0", "GOCACHE": str(home / "cache"), "GO111MODULE": "off",
                     "PATH": os.environ["PATH"], "HOME": str(home)}
        subprocess.run([go, "build", "-o", binary, source], env=variables, check=True)
    return pathlib.Path(binary).read_bytes()
