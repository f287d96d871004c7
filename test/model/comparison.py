"""What must be the same in two answers: all that the model knows of, and nothing besides may differ."""


def differences(answer, expected):
    """In words; nothing if the answer is as expected."""
    refused = expected.get("error")
    if refused or "error" in answer:
        return differences_of_refusals(answer.get("error"), refused)
    told = {name: value for name, value in answer.items() if name != "reservation_id"}
    return differences_of_objects("", told, expected)


def differences_of_objects(place, told, expected):
    found = []
    for name in sorted(told.keys() | expected.keys()):
        ours, theirs = expected.get(name), told.get(name)
        if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
            for number, pair in enumerate(zip(theirs, ours)):
                found += differences_of_objects(f"{place}{name}[{number}].", *pair)
        elif ours != theirs:
            found.append(f"{place}{name} is {theirs} instead of {ours}")
    return found


def differences_of_refusals(error, refused):
    if error is None:
        return [f"it should have been refused: {refused} {refused.limit}"]
    if refused is None:
        return ["it should not have been refused"]
    if error["sqlstate"] != refused.sqlstate or refused.words not in error["message"]:
        return [f"it should have been refused otherwise: {refused} {refused.limit}"]
    if refused.limit is None:
        return []
    if "detail" in error:
        missing = [text for text in details(refused.limit) if text not in error["detail"]]
        return [f"the detail should have: {text}" for text in missing]
    return differences_of_objects("limit.", error["limit"], refused.limit)


def details(limit):
    """What an error tells a person of a limit."""
    amounts = {name: plain(limit[name]) for name in ("value", "spent", "held", "asked")}
    each = f" for {limit['each']}={limit['part']}" if limit["each"] else ""
    tag = f" under tag={limit['tag']}" if limit["tag"] else ""
    per = f" per {limit['per']}" if limit["per"] else ""
    text = " of {owner} {id}{each}{tag} is {value}: {spent} is spent, {held} held, {asked} asked."
    yield f"The limit of {limit['limit']}{per}" if limit["field"] == "limits" else limit["field"]
    yield text.format(**dict(limit, **amounts, each=each, tag=tag))


def plain(number):
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def outcome(expected):
    """A word for what has happened, to count it by."""
    refused = expected.get("error")
    if not refused:
        return "ok"
    if not refused.limit:
        return refused.sqlstate
    limit = refused.limit
    which = limit["field"] if limit["field"] != "limits" else f"{limit['limit']}{' each' if limit['each'] else ''}"
    return f"{refused.sqlstate} {limit['owner']} {which}"
