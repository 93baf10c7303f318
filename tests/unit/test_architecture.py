"""Rules of the architecture that no import contract can say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("services", "libs", "cli")
FORKING_KEYWORDS = {"preexec_fn", "user", "group", "extra_groups"}
"""With these `subprocess` forks instead of using `vfork`."""
STARTERS = {"Popen", "run", "call", "check_call", "check_output", "create_subprocess_exec", "subprocess_exec"}
FORKS = {("os", "fork"), ("os", "forkpty"), ("pty", "fork"), ("pty", "spawn")}
MAY_FORK = {"tests/support/zygote.py", "tests/support/forks.py"}
"""The parent of test processes forks before it has threads and checks that; the other one counts forks."""
CONTRACTS = [
    str(path.relative_to(ROOT / "gen").with_suffix("")).replace("/", ".") for path in (ROOT / "gen").rglob("*_pb2.py")
]


def sources() -> Iterator[Path]:
    """Every module of the product."""
    for folder in PRODUCT:
        yield from (ROOT / folder).rglob("*.py")


def messages(file: FileDescriptor) -> Iterator[Descriptor]:
    """Every message of a contract."""
    pending = list(file.message_types_by_name.values())
    while pending:
        message = pending.pop()
        yield message
        pending.extend(message.nested_types)


@pytest.mark.parametrize("module", CONTRACTS)
def test_media_bytes_never_cross_the_wire(module: str) -> None:
    file: FileDescriptor = import_module(module).DESCRIPTOR
    fields = [field for message in messages(file) for field in message.fields]
    assert [field.full_name for field in fields if field.type == FieldDescriptor.TYPE_BYTES] == []


def test_only_the_media_runner_names_the_media_programs() -> None:
    named = {
        str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("ffmpeg", "ffprobe")
    }
    assert named
    assert all(path.startswith("libs/onevoice_kit/media_exec/") for path in named), named


def test_only_the_edge_of_the_gateway_opens_transactions() -> None:
    gateway = ROOT / "services/gateway"
    openers = {
        str(path.relative_to(gateway)) for path in gateway.rglob("*.py") if "with transaction(" in path.read_text()
    }
    routes = {
        *("billing.py", "estimates.py", "objects.py", "jobs/results.py", "uploads/router.py", "videos/router.py"),
        "dependencies.py",
    }
    beside_requests = {"accounts.py", "create_user.py", "monitoring.py", "uploads/removals.py", "jobs/events.py"}
    assert openers == routes | beside_requests | {"idempotency/service.py"}


def test_no_program_is_started_through_a_shell() -> None:
    shells = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in ("create_subprocess_shell", "system", "popen"))
            or any(keyword.arg == "shell" for keyword in node.keywords)
        )
    ]
    assert shells == []


def forks(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each call that forks this process with all its threads."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        *owners, name = ast.unparse(node.func).split(".")
        owner = owners[-1] if owners else ""
        keywords = {keyword.arg for keyword in node.keywords}
        if any(
            (
                (owner, name) in FORKS,
                name in STARTERS and keywords & FORKING_KEYWORDS,
                owner == "multiprocessing" and name in ("Process", "Pool", "Manager"),
                owner in ("multiprocessing", "")
                and name in ("get_context", "set_start_method")
                and [ast.unparse(one) for one in node.args] != ["'spawn'"],
                name == "ProcessPoolExecutor" and len(node.args) < 2 and "mp_context" not in keywords,
            )
        ):
            yield node.lineno, name


def test_no_process_with_threads_is_forked() -> None:
    everything = (path for folder in (*PRODUCT, "tests", "bench") for path in (ROOT / folder).rglob("*.py"))
    found = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in everything
        if str(path.relative_to(ROOT)) not in MAY_FORK
        for line, name in forks(ast.parse(path.read_text()))
    }
    assert found == set()


@pytest.mark.parametrize(
    "call",
    [
        "os.fork()",
        "pty.spawn('sh')",
        "subprocess.run(['true'], user='nobody')",
        "asyncio.create_subprocess_exec('true', preexec_fn=os.setsid)",
        "subprocess.Popen(['true'], group=0, extra_groups=[])",
        "multiprocessing.Process(target=run)",
        "multiprocessing.get_context('fork')",
        "multiprocessing.get_context()",
        "get_context(method='fork')",
        "multiprocessing.set_start_method('fork')",
        "ProcessPoolExecutor(2)",
    ],
)
def test_a_call_that_forks_is_found(call: str) -> None:
    assert len(list(forks(ast.parse(call)))) == 1


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.run(['true'], start_new_session=True, cwd='/', umask=0o077)",
        "multiprocessing.get_context('spawn')",
        "ProcessPoolExecutor(2, mp_context=context)",
        "create(user='one')",
    ],
)
def test_a_call_that_does_not_fork_is_no_finding(call: str) -> None:
    assert list(forks(ast.parse(call))) == []


def test_entry_points_only_wire() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "services").glob("*/__main__.py")
        if (lines := len(path.read_text().splitlines())) > 60
    }
    assert long == {}


@pytest.mark.parametrize("stage", ["asr", "translate", "tts", "mixer"])
def test_stage_services_have_the_same_files(stage: str) -> None:
    folder = ROOT / "services" / stage
    assert {"__init__.py", "__main__.py", "settings.py", "servicer.py", "converters.py"} <= {
        path.name for path in folder.iterdir()
    }


@pytest.mark.parametrize("stage", ["asr", "translate", "tts", "mixer"])
def test_only_the_edge_of_a_stage_imports_protobuf(stage: str) -> None:
    edge = {"servicer.py", "converters.py", "wiring.py", "__main__.py"}
    inside = [path for path in (ROOT / "services" / stage).rglob("*.py") if path.name not in edge]
    importing = [
        str(path.relative_to(ROOT))
        for path in inside
        if any(line.startswith(("from onevoice.", "import onevoice.")) for line in path.read_text().splitlines())
    ]
    assert inside
    assert importing == []
