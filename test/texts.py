"""What a database answers to tests, as texts, by a connection that stays open: a new one for each statement takes most
of a test's time."""

import csv
import io

import psycopg2


class Session:
    def __init__(self, database=None):
        self.connection = psycopg2.connect("", dbname=database)  # or that of the PG* environment
        self.connection.autocommit = True

    def rows(self, statement):
        output = io.StringIO()
        self.connection.cursor().copy_expert(f"COPY ({statement}) TO STDOUT (FORMAT csv)", output)
        return [row or [""] for row in csv.reader(io.StringIO(output.getvalue()))]

    def close(self):
        self.connection.close()
