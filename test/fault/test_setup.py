"""Two databases of one server can be set up at the same time."""

import contextlib
import subprocess

from harness import CHECKOUT, until


def test_a_role_that_is_being_created_is_waited_for(server):
    server.sql("ALTER ROLE org RENAME TO org_of_another_database")
    server.sql("CREATE DATABASE second TEMPLATE template0")
    with contextlib.closing(server.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN; CREATE ROLE org")
        script = CHECKOUT / "tools" / "setup.sql"
        command = ["psql", "-Xq", "-d", server.url(database="second"), "-f", script]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as setup:
            until(lambda: server.sql("SELECT count(*) FROM pg_locks WHERE NOT granted"), what="the wait for the role")
            cursor.execute("COMMIT")
            _, errors = setup.communicate(timeout=60)
    assert (setup.returncode, errors) == (0, "")
