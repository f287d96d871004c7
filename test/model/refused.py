"""Saying no."""


class Refused(Exception):
    """A refusal: sqlstate, words of the message, and the limit that is the reason."""

    def __init__(self, sqlstate, words, limit=None):
        super().__init__(f"{sqlstate} {words}")
        self.sqlstate = sqlstate
        self.words = words
        self.limit = limit
