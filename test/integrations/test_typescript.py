"""The package for TypeScript, built as its README says, in front of the real gateway and of a stand-in that breaks."""

import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import CHECKOUT, INTEGRATIONS, URL
from pg_org_stand_in import AWAY, GRANT

COMPILER = {"compilerOptions": {"target": "es2022", "module": "nodenext", "strict": True, "types": ["node"]}}
NOT_FOUND = 404, {"error": {"message": "Not found", "type": "not_found_error", "param": "None", "code": "404"}}

TYPED = """
import { Client } from "pg-org";
const client = new Client("http://127.0.0.1", "sk-llm-gateway");
export const { limits } = await client.reserve({ key: "sk-ada", model: "gpt-4o", max_cost: "0.1", tags: ["search"] });
export const remaining: number = limits[0]!.remaining;
// @ts-expect-error: required
await client.settle({ request_id: "call-1" });
// @ts-expect-error: of another type
await client.cancel({ request_id: 1 });
// @ts-expect-error: there is no such field
export const name = limits[0]!.model_name;
"""

# What a program does in front of the stand-in, and prints.
BEGINNING = """
import { Client, NotSent, Unanswered } from "pg-org";
const client = new Client(process.env.PG_ORG!, "sk-gateway", { pauses: [10, 10] });
const fields = { key: "sk-caller", model: "gpt-4o", max_cost: "0.5" };
const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
"""
PROGRAMS = {
    "settles": 'await client.call({ ...fields, tags: ["search"] }, (call) => call.settle("0.1"));',
    "unanswered": """
await client.call(fields, async () => console.log("made")).catch((error) => console.log(error instanceof Unanswered));
""",
    "sends_later": """
for (const cost of ["0.1", "0.2"]) await client.call(fields, (call) => call.settle(cost));
console.log(await client.sendUnreported(), await client.sendUnreported(), await client.sendUnreported());
""",
    "not_sent": "await client.call(fields, async () => { throw new NotSent(); }).catch(() => {});",
    "breaks": 'await client.call(fields, async () => { throw new Error("cut off"); }).catch(() => {});',
    "returns": "await client.call(fields, async () => {});",
    "settles_and_throws": """
await client.call(fields, async (call) => { await call.settle(0.1); throw new NotSent(); }).catch(() => {});
""",
    "extends": """
await client.call({ ...fields, ttl_seconds: 1, extended: true }, async (call) => {
  await wait(1800);
  await call.settle(0);
});
""",
}


def run(command, directory, **environment):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """The directory of the programs above and of the one in the documentation, compiled against the built package."""
    run(["bash", "-c", ". tools/lib.sh; install_packages_of test/api"], CHECKOUT)
    directory = tmp_path_factory.mktemp("typescript")
    installed = CHECKOUT / "test" / "api" / "node_modules"
    package = directory / "package"
    shutil.copytree(INTEGRATIONS / "typescript", package, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (package / "node_modules").symlink_to(installed)
    run(["npm", "run", "types"], package, PG_ORG=URL)
    run(["npm", "run", "build"], package)

    (directory / "node_modules").mkdir()
    (directory / "node_modules" / "pg-org").symlink_to(package)
    (directory / "node_modules" / "@types").symlink_to(installed / "@types")
    (directory / "package.json").write_text('{"type": "module"}')
    (directory / "tsconfig.json").write_text(json.dumps(COMPILER))
    page = (CHECKOUT / "docs" / "llm-gateway.md").read_text()
    (directory / "step.ts").write_text(re.search(r"^```typescript\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[1])
    (directory / "typed.ts").write_text(TYPED)
    for name, text in PROGRAMS.items():
        (directory / f"{name}.ts").write_text(BEGINNING + text)
    run([package / "node_modules" / ".bin" / "tsc"], directory)
    return directory


@pytest.fixture
def execute(programs, pg_org, tmp_path):
    """Runs a program in front of the stand-in."""

    def run_one(name):
        return run(["node", programs / f"{name}.js"], tmp_path, PG_ORG=pg_org.url)

    return run_one


def test_the_step_in_the_documentation(gateway, programs, tmp_path):
    """It prints what the page says that the step in Python prints, but for the amount spent."""
    key = gateway.make_key(max_budget=1)
    (tmp_path / "step.mjs").write_text((programs / "step.js").read_text().replace("sk-ada", key))
    (tmp_path / "node_modules").symlink_to(programs / "node_modules")
    usage_key = gateway.make_key(permissions={"usage": True})
    printed = run(["node", "step.mjs"], tmp_path, PG_ORG=URL, USAGE_KEY=usage_key)
    page = (CHECKOUT / "docs" / "llm-gateway.md").read_text()
    told = re.search(r"^\$ .*python3 step.py\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[1]
    assert re.sub(r"cost: [\d.]+", "", printed) == re.sub(r"cost: [\d.]+", "", told)
    calls = [call for call in gateway.calls(key) if call[0] == "settled"]
    assert calls == [["settled", "0.0000825", "f"], ["settled", "0.01009", "t"]]


@pytest.mark.parametrize("reply", [AWAY, "<html>502 Bad Gateway</html>", None])
def test_without_a_clear_answer_it_asks_again_with_the_same_id(pg_org, execute, reply):
    pg_org.replies["reserve"] = [reply, reply]
    pg_org.replies["settle"] = [reply]
    execute("settles")
    assert [len(pg_org.asked[path]) for path in ("reserve", "settle")] == [3, 2]
    assert len({fields["request_id"] for fields in pg_org.asked["reserve"] + pg_org.asked["settle"]}) == 1


def test_without_an_answer_no_call_is_made(pg_org, execute):
    pg_org.replies["reserve"] = [AWAY] * 3
    assert execute("unanswered") == "true\n"


def test_what_cannot_be_reported_is_kept_and_sent_later(pg_org, execute, tmp_path):
    pg_org.replies["settle"] = [AWAY] * 9
    assert execute("sends_later") == "1 0 0\n"
    assert [fields["cost"] for fields in pg_org.asked["settle"][9:]] == ["0.2", "0.1"]
    assert list(tmp_path.iterdir()) == []


def test_a_reservation_that_is_forgotten_is_recorded(pg_org, execute):
    pg_org.replies["settle"] = [NOT_FOUND]
    execute("settles")
    (recorded,) = pg_org.asked["record"]
    assert recorded.pop("request_id") == pg_org.asked["reserve"][0]["request_id"]
    assert recorded == {"key": "sk-caller", "model": "gpt-4o", "tags": ["search"], "cost": "0.1"}


@pytest.mark.parametrize(
    "program, path, outcome",
    [
        ("not_sent", "cancel", {}),
        ("breaks", "settle", {"cost": "0.5", "failed": True}),
        ("returns", "settle", {"cost": "0.5", "failed": True}),
        ("settles_and_throws", "settle", {"cost": 0.1}),
    ],
)
def test_how_a_call_ends(pg_org, execute, program, path, outcome):
    execute(program)
    (reserved,) = pg_org.asked["reserve"]
    assert pg_org.asked[path] == [{"request_id": reserved["request_id"], **outcome}]
    assert len(pg_org.asked) == 2


def test_a_stream_is_extended_until_it_is_over(pg_org, execute):
    pg_org.replies["extend"] = [GRANT, AWAY]
    execute("extends")
    (reserved,) = pg_org.asked["reserve"]
    assert len(pg_org.asked["extend"]) >= 2
    assert pg_org.asked["extend"][0] == {"request_id": reserved["request_id"], "ttl_seconds": 1}
