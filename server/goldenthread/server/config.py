"""Read the server's settings: from flags, then `GOLDENTHREAD_*` variables, then a YAML file, then defaults.

Every setting is one field of `Config`, with its description. `load_config` parses and checks them; nothing else reads the
environment. A server beyond loopback is refused without TLS and a real issuer of tokens.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Set
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import quote, urlsplit

import msgspec
import yaml
from msgspec import Meta, Struct

__all__ = ["TENANT_NAME", "Address", "Config", "ConfigError", "Setting", "load_config", "parse_address", "settings"]

_ALIKE = 0.9
"""How alike a variable's name must be to a setting's to be a slip; others with the prefix are not the server's."""
_PREFIX: Final = "GOLDENTHREAD_"
TENANT_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$")


class ConfigError(Exception):
    """A setting keeps the server from starting; a retry helps once the remedy was applied."""

    def __init__(self, setting: str, problem: str, remedy: str) -> None:
        self.setting, self.problem, self.remedy = setting, problem, remedy
        super().__init__(f"The setting {setting} {problem}; {remedy}.")


class Config(Struct, frozen=True, kw_only=True):
    """Everything that can be set. Paths are as given; empty text means not set; 0 means no limit where it says so."""

    listen: Annotated[str, Meta(description="Address to serve gRPC on, as host:port; port 0 takes a free one.")] = (
        "127.0.0.1:7461"
    )
    data: Annotated[
        Path, Meta(description="Folder of the embedded store, the keys and the local token; made with mode 0700.")
    ] = Path(".goldenthread")
    store: Annotated[
        str,
        Meta(description="URL of the store, as sqlite:///path or neo4j://user:password@host:7687; SQLite in data if empty."),
    ] = ""
    root_key: Annotated[
        str, Meta(description="File of the root key, mode 0600; keys/root.key in the data folder if empty.")
    ] = ""
    tls_cert: Annotated[str, Meta(description="PEM file of the server's certificate chain; turns TLS on, with tls_key.")] = ""
    tls_key: Annotated[str, Meta(description="PEM file of the certificate's private key.")] = ""
    tls_client_ca: Annotated[
        str, Meta(description="PEM file of the authorities whose client certificates are required (mTLS).")
    ] = ""
    auth: Annotated[
        Literal["local", "jwks"],
        Meta(description="Who signs callers' tokens: local (a development key in the data folder, loopback only) or jwks."),
    ] = "local"
    jwks: Annotated[str, Meta(description="File or https URL of the issuer's JSON Web Key Set; needed with auth jwks.")] = ""
    issuer: Annotated[str, Meta(description="`iss` that tokens must carry; needed with auth jwks.")] = ""
    audience: Annotated[str, Meta(min_length=1, description="`aud` that tokens must carry.")] = "goldenthread"
    default_tenant: Annotated[str, Meta(description="Tenant of the local token that is made at first start.")] = "default"
    max_message_bytes: Annotated[int, Meta(ge=1024, description="Largest message the server reads or sends.")] = (
        16 * 1024 * 1024
    )
    max_record_bytes: Annotated[int, Meta(ge=256, description="Largest single record, encoded.")] = 1024 * 1024
    max_calls_per_second: Annotated[float, Meta(ge=0, description="Calls a caller may start each second; 0 for no limit.")] = 0
    max_records_per_second: Annotated[
        float,
        Meta(
            ge=0,
            description="Records a caller may put each second: calls beyond it are refused, streams slowed; 0 for no limit.",
        ),
    ] = 0
    max_concurrent_calls: Annotated[
        int, Meta(ge=0, description="Calls served at the same time, all callers; 0 for no limit.")
    ] = 1000
    metrics_listen: Annotated[
        str,
        Meta(description="Address of the Prometheus metrics, as 127.0.0.1:7462; off if empty; beyond loopback with mTLS only."),
    ] = ""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="Least level that is logged.")] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"], Meta(description="auto writes text to a terminal and JSON elsewhere.")
    ] = "auto"
    match_model: Annotated[
        str, Meta(description="File of the match model for new tenants, as `link` writes it; the shipped one if empty.")
    ] = ""
    data_model: Annotated[
        str, Meta(description="YAML file of the data model for new tenants; the shipped person model if empty.")
    ] = ""
    batch_records: Annotated[int, Meta(ge=1, le=10_000, description="Most records that one transaction commits together.")] = (
        2000
    )
    batch_linger_ms: Annotated[
        float, Meta(ge=0, le=1000, description="Longest wait for more records before a commit, in milliseconds.")
    ] = 2
    prepare_processes: Annotated[
        int,
        Meta(ge=0, le=64, description="Processes that prepare the records of large messages beside the server; 0 for none."),
    ] = 1
    search_processes: Annotated[
        int, Meta(ge=0, le=64, description="Processes that search by attributes beside the server; 0 for none.")
    ] = 1
    start_processes: Annotated[
        bool, Meta(description="Start these processes with the server, rather than when there is first work for them.")
    ] = True
    cache_records: Annotated[int, Meta(ge=0, description="Opened records kept in memory; 0 for none.")] = 200_000
    job_workers: Annotated[int, Meta(ge=0, le=64, description="Jobs that this server runs at the same time; 0 for none.")] = 2
    job_look_seconds: Annotated[
        float, Meta(gt=0, description="Time between two looks for jobs that another server left or queued.")
    ] = 5
    job_lease_seconds: Annotated[
        float, Meta(gt=0, description="Time after which the job or the sink of a server that is gone is taken up by another.")
    ] = 30
    event_heartbeat_seconds: Annotated[
        float, Meta(ge=0.1, le=600, description="Longest silence of a stream of events, in seconds; then a heartbeat is sent.")
    ] = 15
    event_poll_seconds: Annotated[
        float, Meta(ge=0.05, le=60, description="Time between two looks for events that other servers on the store committed.")
    ] = 1
    event_sinks: Annotated[str, Meta(description="YAML file of the sinks that events are delivered to; none if empty.")] = ""
    event_upkeep_seconds: Annotated[
        float,
        Meta(
            ge=0.1,
            le=3600,
            description="Time between two looks at lags of subscriptions, for old events, and for what a killed server left.",
        ),
    ] = 15
    golden_event_delay_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="Longest time that golden values are not compared while commits keep coming.")
    ] = 5
    golden_ageing_hours: Annotated[
        float,
        Meta(ge=0, description="Hours between two looks for golden values that time alone has changed; 0 for never."),
    ] = 24
    event_retention_days: Annotated[
        float, Meta(ge=0, description="Days that events are kept for those who follow them; 0 to keep all.")
    ] = 0
    review_window: Annotated[
        int,
        Meta(
            ge=10,
            le=100_000,
            description="Doubtful pairs of each reason that are ranked for review, the likeliest wrong first.",
        ),
    ] = 1000
    review_lease_seconds: Annotated[
        float, Meta(gt=0, le=604_800, description="Time for which somebody who claims a pair to review has it alone.")
    ] = 900
    review_second_opinion_value: Annotated[
        float,
        Meta(ge=0, description="Value of a pair from which two people must give it the same answer; 0 for none."),
    ] = 0
    expiry_look_seconds: Annotated[float, Meta(gt=0, description="Time between two looks for decisions whose time is up.")] = 5
    housekeeping_hours: Annotated[
        float, Meta(ge=0, description="Hours between two rounds that take away what was kept long enough; 0 for never.")
    ] = 24
    request_retention_days: Annotated[
        float, Meta(ge=0, description="Days that a repeated request_id is answered as before; 0 for ever.")
    ] = 30
    job_retention_days: Annotated[
        float, Meta(ge=0, description="Days that a job which ended can be read, with what its preview lists; 0 for ever.")
    ] = 90
    upkeep_look_seconds: Annotated[
        float, Meta(gt=0, description="Time between two looks for regular work that is due, and what an upgrade left to do.")
    ] = 60
    health_interval_seconds: Annotated[float, Meta(gt=0, description="Time between two checks of the store.")] = 2
    shutdown_grace_seconds: Annotated[
        float, Meta(ge=0, description="Time that calls in flight are given to end when the server stops.")
    ] = 10

    @property
    def store_url(self) -> str:
        """The store's URL, resolved."""
        return self.store or f"sqlite:///{quote((self.data / 'graph').absolute().as_posix())}"

    @property
    def shown_store(self) -> str:
        """The store's URL without user and password, for people and logs."""
        parts = urlsplit(self.store_url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def root_key_file(self) -> Path:
        """The root key's file, resolved."""
        return Path(self.root_key) if self.root_key else self.data / "keys" / "root.key"

    @property
    def token_key_file(self) -> Path:
        """The local development key that signs tokens."""
        return self.data / "keys" / "token.key"

    @property
    def token_file(self) -> Path:
        """Where the local token is written at first start."""
        return self.data / "token"


class Address(Struct, frozen=True):
    """A host and a port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Setting(Struct, frozen=True):
    """One setting as the reference shows it."""

    name: str
    variable: str
    default: str
    description: str


def settings() -> list[Setting]:
    """List every setting with its variable, default and description, in the order of `Config`."""
    listed = []
    for field, kind in zip(msgspec.structs.fields(Config), _field_types(), strict=True):
        default = field.default
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        listed.append(Setting(field.name, _PREFIX + field.name.upper(), shown, kind))
    return listed


def load_config(
    flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> Config:
    """Read and check the settings; a flag that is None was not given.

    The file is the one named, or the one `GOLDENTHREAD_CONFIG` names.

    Raises:
        ConfigError: a setting is unknown, malformed or unsafe; it names the setting and the remedy.
    """
    environ = environ or {}
    if file is None and environ.get(f"{_PREFIX}CONFIG"):
        file = Path(environ[f"{_PREFIX}CONFIG"])
    names = set(Config.__struct_fields__)
    chosen: dict[str, object] = {}
    origin: dict[str, str] = {}
    for name, value in _read_file(file).items() if file else ():
        if name not in names:
            raise ConfigError(name, f"in {file} is not known", "see docs/reference/settings.md")
        chosen[name], origin[name] = value, f"in {file}"
    for name in names:
        variable = _PREFIX + name.upper()
        if variable in environ:
            chosen[name], origin[name] = environ[variable], f"from {variable}"
    _check_spelling(environ, names)
    for name, value in (flags or {}).items():
        if name not in names:
            raise ConfigError(name, "is not known", "see docs/reference/settings.md")
        if value is not None:
            chosen[name], origin[name] = value, "as given by a flag"
    config = Config(**{name: _converted(name, value, origin[name]) for name, value in chosen.items()})  # type: ignore[arg-type]  # each was converted to its field's type
    _check(config)
    return config


def _check_spelling(environ: Mapping[str, str], names: Set[str]) -> None:
    """Refuse a variable that nearly names a setting; others with the prefix are of the command line and of tests."""
    for variable in environ:
        name = variable.removeprefix(_PREFIX).lower()
        if variable.startswith(_PREFIX) and name not in names:
            for meant in get_close_matches(name, names, 1, _ALIKE):
                raise ConfigError(name, f"from {variable} is not known", f"write {_PREFIX}{meant.upper()} if you mean that")


def parse_address(setting: str, text: str) -> Address:
    """Split host:port, where an IPv6 host stands in brackets.

    Raises:
        ConfigError: it is not one.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(setting, "is not host:port", "write it as 127.0.0.1:7461")
    return Address(host, int(port))


def _field_types() -> list[str]:
    info = msgspec.inspect.type_info(Config)
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError("Config is not a struct")
    described = []
    for field in info.fields:
        extra = field.type
        if not isinstance(extra, msgspec.inspect.Metadata):
            raise TypeError(f"{field.name} has no description")
        described.append(str((extra.extra_json_schema or {}).get("description", "")))
    return described


def _converted(name: str, value: object, origin: str) -> object:
    field = next(f for f in msgspec.structs.fields(Config) if f.name == name)
    try:
        if isinstance(value, Path):
            value = str(value)
        converted = msgspec.convert(value, type=field.type, strict=False, dec_hook=_to_path)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(
            name, f"{origin} is not valid ({error})", "see docs/reference/settings.md for what it takes"
        ) from None
    return converted


def _to_path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("Expected a path")


def _read_file(file: Path) -> Mapping[str, object]:
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            "config", f"names {file}, which can't be read ({error.strerror})", "give a file that exists"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError("config", f"names {file}, which is not YAML", "write one `setting: value` a line") from None
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise ConfigError("config", f"names {file}, which is not a mapping", "write one `setting: value` a line")
    return {str(name): value for name, value in read.items()}


def _check(config: Config) -> None:
    address = parse_address("listen", config.listen)
    if bool(config.tls_cert) != bool(config.tls_key):
        given, missing = ("tls_cert", "tls_key") if config.tls_cert else ("tls_key", "tls_cert")
        raise ConfigError(given, f"is set without {missing}", "set both, or none")
    if config.tls_client_ca and not config.tls_cert:
        raise ConfigError("tls_client_ca", "is set without tls_cert and tls_key", "set those too")
    if config.auth == "jwks":
        if not config.jwks:
            raise ConfigError("jwks", "is missing", "name the issuer's key set, or use --auth local on loopback")
        if not config.issuer:
            raise ConfigError("issuer", "is missing", "give the `iss` that the issuer writes into its tokens")
        if config.jwks.startswith("http://"):
            raise ConfigError("jwks", "is fetched without TLS", "give an https:// URL or a file")
    if not TENANT_NAME.match(config.default_tenant):
        raise ConfigError("default_tenant", "is not a tenant's name", "use small letters, digits and hyphens, at most 63")
    if "://" not in config.store_url:
        raise ConfigError("store", "is not a URL", "write it as sqlite:///path or neo4j://host:7687")
    if not address.is_loopback:
        if not config.tls_cert:
            raise ConfigError(
                "listen",
                f"reaches beyond this machine ({address}) without TLS",
                "set tls_cert and tls_key, or listen on 127.0.0.1",
            )
        if config.auth == "local":
            raise ConfigError(
                "listen",
                f"reaches beyond this machine ({address}) with the local development key",
                "set auth to jwks, with jwks and issuer",
            )
    if (
        config.metrics_listen
        and not parse_address("metrics_listen", config.metrics_listen).is_loopback
        and not config.tls_client_ca
    ):
        raise ConfigError(
            "metrics_listen",
            "reaches beyond this machine without client certificates",
            "set tls_cert, tls_key and tls_client_ca, or use 127.0.0.1",
        )
