"""A call of a function, and what stands in its arguments for things that only the database can name."""

from typing import NamedTuple


class Operation(NamedTuple):
    """A call of a function, by whose arguments it can be made again elsewhere: what only the database can name, one
    of the following stands for."""

    at: object
    function: str
    arguments: dict
    about: str  # the organization


class Reservation(NamedTuple):
    label: str  # what the test calls it: the request_id, unless the database is to make one
    by_request: bool


class TokenId(NamedTuple):
    secret: str


class BudgetId(NamedTuple):
    organization_id: str
    team_id: str
    user_id: str
