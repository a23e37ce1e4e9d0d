"""The suite about itself: every served operation has a case, every named test exists."""

import pathlib
import re
import tomllib

from botocore import xform_name

from support.server import REPOSITORY

HERE = pathlib.Path(__file__).parent
SOURCES = "\n".join(p.read_text() for p in HERE.rglob("*.py"))


def test_every_served_operation_has_a_case():
    plan = tomllib.loads((REPOSITORY / "models" / "operations.toml").read_text())
    # Reached through a paginator or by the method's name.
    missing = [f"{service}.{name}" for service, group in plan.items() for name in group["served"]
               if not re.search(rf"\b{xform_name(name)}\b", SOURCES)]
    assert not missing


def test_every_test_that_the_requirements_name_exists():
    page = (REPOSITORY / "docs" / "requirements.md").read_text()
    named = re.findall(r"`(\S+?)::(\w+)`", page)
    assert len(named) > 40
    missing = []
    for path, name in named:
        file = REPOSITORY / path
        if not file.exists() or not re.search(rf"(def|fn) {name}\b", file.read_text()):
            missing.append(f"{path}::{name}")
    assert not missing
