import os

import psycopg


def handler(event, context):
    with psycopg.connect(os.environ["DATABASE"], connect_timeout=10) as connection:
        with connection.cursor() as cursor:
            cursor.execute("create temporary table orders (id text primary key, cents bigint)")
            cursor.executemany(
                "insert into orders values (%s, %s)", [(event["order"], 1999), ("second", 5)]
            )
            cursor.execute("select id, cents from orders where id = %s", [event["order"]])
            identity, cents = cursor.fetchone()
            with cursor.copy("copy orders to stdout") as copy:
                rows = b"".join(copy).count(b"\n")
        return {"id": identity, "cents": cents, "rows": rows,
                "encrypted": connection.pgconn.ssl_in_use}
