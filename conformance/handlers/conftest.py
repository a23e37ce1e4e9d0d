"""What handlers speak to: a shop behind TLS and a database, both by the name of this machine, and a
server whose functions are jailed."""

import pytest

from support.agents import zipped
from support.packages import Packages, go_binary
from support.peers import Authority, Database, Shop, own_name
from support.server import ROLE, Craton

# Of each kind of handler there is one that may reach its host, and one that may not.
KINDS = ("requests", "httpx", "urllib", "psycopg", "boto3-elsewhere", "fetch", "https", "go")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A private certificate authority, which only who brings its certificate trusts."""
    return Authority(tmp_path_factory.mktemp("authority"), *own_name())


@pytest.fixture(scope="session")
def shop(authority):
    server = Shop(authority)
    yield server
    server.close()


@pytest.fixture(scope="session")
def database(authority):
    server = Database(authority)
    yield server
    server.close()


@pytest.fixture(scope="session")
def jailed(tmp_path_factory, shop, database):
    """A server with functions in jails; the host of each handler is allowed to one function."""
    def line(kind):
        host = database.host if kind == "psycopg" else shop.host
        return f'"allowed-{kind}" = ["{host}"]'
    hosts = "\n".join(line(kind) for kind in KINDS)
    config = f'[functions]\nisolation = "jail"\n\n[functions.hosts]\n{hosts}\n'
    server = Craton(tmp_path_factory.mktemp("jailed"), config).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def packages():
    return Packages()


@pytest.fixture(scope="session")
def go():
    return go_binary()


@pytest.fixture
def deploy(jailed, authority, shop, database):
    """Makes a function in the jail from files by name, as anybody would by boto3."""
    lam = jailed.client("lambda")
    made = []

    def make(name, files, handler, runtime="python3.12", onto=b"", **fields):
        variables = {
            "SHOP": shop.url, "DATABASE": database.url, "CA": "/var/task/ca.pem",
            "SSL_CERT_FILE": "/var/task/ca.pem", "REQUESTS_CA_BUNDLE": "/var/task/ca.pem",
            "NODE_EXTRA_CA_CERTS": "/var/task/ca.pem",
        }
        code = zipped({**files, "ca.pem": authority.certificate.read_bytes()}, onto)
        lam.create_function(
            FunctionName=name, Code={"ZipFile": code}, Role=ROLE, Runtime=runtime, Handler=handler,
            Timeout=30, Environment={"Variables": variables}, **{"MemorySize": 512, **fields},
        )
        made.append(name)
        return lam

    yield make
    for name in made:
        lam.delete_function(FunctionName=name)
