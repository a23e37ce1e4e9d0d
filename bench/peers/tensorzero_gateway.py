"""Starts the TensorZero gateway that its Python wheel carries, and prints where it listens.

Usage: tensorzero_gateway.py ADDRESS_OF_THE_MODEL FOLDER. The gateway keeps nothing: its observability is off.
"""

import os
import pathlib
import sys
import threading

os.environ["TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS"] = "1"
os.environ.setdefault("OPENAI_API_KEY", "none")

CONFIG = """
[gateway]
observability.enabled = false

[models.mock]
routing = ["world"]

[models.mock.providers.world]
type = "openai"
model_name = "mock"
api_base = "http://{model}/v1/"
api_key_location = "none"
"""


def main(model, folder):
    from openai import OpenAI
    from tensorzero import patch_openai_client

    config = pathlib.Path(folder) / "tensorzero.toml"
    config.write_text(CONFIG.format(model=model))
    client = patch_openai_client(OpenAI(), config_file=str(config), async_setup=False)
    print(client.base_url, flush=True)
    threading.Event().wait()


main(*sys.argv[1:])
