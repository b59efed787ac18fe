"""Settings: one tree, from the environment and a TOML file, every field documented here.

The texts below are what `streamer config --template` and the README print, so they are written
for the person who runs streamer. The environment wins over the file; what is not known is an error,
also a whole section (`STREAMER_KAFFKA__…`), because a misspelt setting silently has its default.

Secrets are `SecretStr` from the moment they are read; no error raised here quotes a value.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError
from typing_extensions import override

from streamer.config_checks import (
    LEAST_KEY_BYTES,
    check_api_url,
    check_file,
    check_key,
    check_prefix,
    check_secret,
    check_servers,
    check_start,
    check_text,
)
from streamer.config_words import in_words
from streamer.errors import SettingsError
from streamer.sources import Environment, StringList, name_for_people, read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT_PREFIX: Final = "STREAMER_"
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

LONGEST_WINDOW_S: Final = 10 * 365 * 86_400.0
"""What looks back further than ten years would at some point be before the first year."""

Secret = Annotated[SecretStr, AfterValidator(check_secret)]
Text = Annotated[str, AfterValidator(check_text)]
File = Annotated[Path, BeforeValidator(check_file)]
Window = Annotated[PositiveFloat, Field(le=LONGEST_WINDOW_S)]

# Kafka's protocol has room for 24 days of milliseconds; brokers allow less unless they are told
# otherwise: half an hour without a heartbeat, a quarter of one for a transaction.
SessionTimeout = Annotated[PositiveFloat, Field(le=1_800)]
TransactionTimeout = Annotated[PositiveFloat, Field(le=900)]
StartupTimeout = Annotated[PositiveFloat, Field(le=86_400)]
RetentionDays = Annotated[PositiveFloat, Field(le=36_500)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class FlatfileSettings(_Section):
    """Where the account is, and what opens it."""

    api_url: Annotated[str, AfterValidator(check_api_url)] = Field(
        default="https://platform.flatfile.com/api/v1",
        description="The API, up to and including its version. Other regions: "
        "https://platform.eu.flatfile.com/api/v1 and so on.",
    )
    client_id: Text | None = Field(
        default=None, description="Client id of the key pair of an account-level access token."
    )
    secret: Secret | None = Field(default=None, description="Secret of that key pair.")
    token: Secret | None = Field(
        default=None,
        description="A personal access token (pat_…), instead of client id and secret.",
    )
    plain_http_hosts: StringList = Field(
        default=(), description="Hosts that may be spoken to without TLS. Loopback always may."
    )
    max_body_bytes: PositiveInt = Field(
        default=64 * 1024 * 1024, description="The largest answer that is read, decompressed."
    )

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> FlatfileSettings:
        if self.token is not None and (self.client_id is not None or self.secret is not None):
            message = "give either token, or client_id and secret, not both"
            raise ValueError(message)
        if (self.client_id is None) != (self.secret is None):
            message = "client_id and secret belong together: one of them is missing"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _transport(self) -> FlatfileSettings:
        parts = urlsplit(self.api_url)
        host = (parts.hostname or "").lower()
        if parts.scheme == "http" and host not in {*LOOPBACK_HOSTS, *self.plain_http_hosts}:
            message = (
                "api_url must be https: the token would travel in the clear "
                "(plain_http_hosts names exceptions)"
            )
            raise ValueError(message)
        return self


class KafkaSettings(_Section):
    """The cluster, the topics and the consumer group."""

    bootstrap_servers: Annotated[StringList, AfterValidator(check_servers)] = Field(
        default=(), description="One or more host:port of the Kafka cluster."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How the brokers are spoken to."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN", description="With SASL_PLAINTEXT and SASL_SSL: how to log in."
    )
    sasl_username: Text | None = Field(default=None, description="User name for SASL.")
    sasl_password: Secret | None = Field(default=None, description="Password for SASL.")
    ssl_cafile: File | None = Field(
        default=None, description="Certificates to trust (PEM); default: the system's."
    )
    ssl_certfile: File | None = Field(default=None, description="Our own certificate (PEM).")
    ssl_keyfile: File | None = Field(default=None, description="The key of our certificate (PEM).")
    topic_prefix: Annotated[str, AfterValidator(check_prefix)] = Field(
        default="flatfile", description="What the names of all topics begin with."
    )
    partitions: PositiveInt = Field(
        default=12,
        description="Partitions (shards) of the topics, when they are created. Must never change.",
    )
    replication_factor: int = Field(
        default=-1, description="Of topics that are created; -1 is the broker's default."
    )
    retention_days: RetentionDays | None = Field(
        default=None, description="Of audit topics that are created; none is unlimited."
    )
    compression: Literal["none", "zstd", "snappy", "lz4", "gzip"] = Field(
        default="zstd", description="Codec of what we publish."
    )
    group: str | None = Field(
        default=None, description="Consumer group of the workers; default {prefix}-streamer."
    )
    group_instance_id: str | None = Field(
        default=None,
        description="For a StatefulSet or a single worker: a restart takes its shards back at "
        "once, but a graceful stop hands them over only after the session time-out.",
    )
    session_timeout: SessionTimeout = Field(
        default=6, description="Seconds without a heartbeat after which a worker counts as dead."
    )
    transaction_timeout: TransactionTimeout = Field(
        default=10, description="Seconds after which the broker aborts an open transaction."
    )
    startup_timeout: StartupTimeout = Field(
        default=30, description="Seconds to wait for Kafka at start before giving up (exit 4)."
    )

    @property
    def group_id(self) -> str:
        """The consumer group that the workers share."""
        return self.group or f"{self.topic_prefix}-streamer"

    @property
    def audit_topic(self) -> str:
        """The topic of the audit records."""
        return f"{self.topic_prefix}.audit"

    @property
    def checkpoint_topic(self) -> str:
        """The compacted topic of the checkpoints; its partitions are the shards."""
        return f"{self.topic_prefix}.checkpoints"

    @property
    def dead_letter_topic(self) -> str:
        """The topic of what could not become a record."""
        return f"{self.topic_prefix}.dead-letters"

    @property
    def inventory_topic(self) -> str:
        """The compacted topic of what the account holds."""
        return f"{self.topic_prefix}.inventory"

    @model_validator(mode="after")
    def _sasl(self) -> KafkaSettings:
        if self.security_protocol.startswith("SASL") and (
            self.sasl_username is None or self.sasl_password is None
        ):
            message = f"{self.security_protocol} needs sasl_username and sasl_password"
            raise ValueError(message)
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            message = "ssl_certfile and ssl_keyfile belong together: one of them is missing"
            raise ValueError(message)
        return self


class CaptureSettings(_Section):
    """What is read, how often, and how far back."""

    start: Annotated[str, AfterValidator(check_start)] = Field(
        default="earliest",
        description="Nothing older is ever published: earliest, now, or a date-time with its zone. "
        "Fixed by the first run, and kept in Kafka.",
    )
    environments: StringList = Field(
        default=(), description="Environment ids to read; none means all of the account."
    )
    exclude_topics: StringList = Field(
        default=(), description="Patterns of topics that are not published, such as cron:*."
    )
    revisions: Literal["deleted", "acknowledged"] = Field(
        default="deleted",
        description="Which later change of an event is published as a further revision: "
        "deleted, or acknowledged as well.",
    )
    interval: PositiveFloat = Field(
        default=1, description="Seconds between two polls of an environment that has news."
    )
    idle_interval: PositiveFloat = Field(
        default=15, description="Seconds that the polls of a quiet environment back off to."
    )
    overlap: Window = Field(
        default=10, description="Seconds that the fast polls look back for late events."
    )
    sweep_window: Window = Field(
        default=3600, description="Seconds that an event may be late and is still published."
    )
    sweep_interval: PositiveFloat = Field(
        default=300, description="Seconds between two sweeps of that window."
    )
    deep_sweep_window: NonNegativeFloat = Field(
        default=604_800,
        le=LONGEST_WINDOW_S,
        description="Seconds that are looked through once a day, for what was erased or came very "
        "late; 0: never.",
    )
    page_size: PositiveInt = Field(default=1000, description="Events asked for in one page.")
    buffer_bytes: PositiveInt = Field(
        default=64 * 1024 * 1024,
        description="Bytes that the whole process may hold of pages until they are committed.",
    )


class EnrichmentSettings(_Section):
    """Names of actors and places."""

    wait: PositiveFloat = Field(
        default=2, description="Seconds that a page waits for names before it goes on without."
    )


class InventorySettings(_Section):
    """What the account holds, as a compacted table."""

    interval: NonNegativeFloat = Field(
        default=300,
        description="Seconds between two looks at what the account holds; 0: none is taken.",
    )


class PrivacySettings(_Section):
    """Whether records show who somebody is."""

    personal_data: Literal["clear", "pseudonymize", "drop"] = Field(
        default="clear",
        description="E-mail addresses and full names: as they are, under pseudonyms that only "
        "the key ties to a person, or left out.",
    )
    key: Annotated[SecretStr, AfterValidator(check_key)] | None = Field(
        default=None,
        description=f"Makes the pseudonyms; at least {LEAST_KEY_BYTES} bytes. Another key makes "
        "others; without the key nobody can tell any more whose they are.",
    )

    @property
    def key_bytes(self) -> bytes:
        """The key, empty if there is none."""
        return b"" if self.key is None else self.key.get_secret_value().encode()

    @model_validator(mode="after")
    def _key_for_pseudonyms(self) -> PrivacySettings:
        if self.personal_data == "pseudonymize" and self.key is None:
            message = "pseudonymize needs a key"
            raise ValueError(message)
        return self


class WebSettings(_Section):
    """Health and metrics over HTTP."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65_535, description="Port to listen on; 0: any free.")
    stall_after: PositiveFloat = Field(
        default=120,
        description="Seconds without a complete poll after which an environment counts as stalled "
        "and the worker as not ready.",
    )


class LogSettings(_Section):
    """What is logged, to stderr."""

    format: Literal["json", "console"] | None = Field(
        default=None, description="json, or console; default: console at a terminal, else json."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe level that is written."
    )


class Settings(BaseSettings):
    """Everything that can be set, in sections."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    flatfile: FlatfileSettings = FlatfileSettings()
    kafka: KafkaSettings = KafkaSettings()
    capture: CaptureSettings = CaptureSettings()
    enrichment: EnrichmentSettings = EnrichmentSettings()
    inventory: InventorySettings = InventorySettings()
    privacy: PrivacySettings = PrivacySettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over what the file says (handed over as init values)."""
        return (Environment(settings_cls, ENVIRONMENT_PREFIX, SECRET_FIELDS), init_settings)


SECRET_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "flatfile": ("secret", "token"),
    "kafka": ("sasl_password",),
    "privacy": ("key",),
}
"""The settings that are secrets, by section: masked when shown, and readable from `…_FILE`."""


def load_settings(config: Path | None = None) -> Settings:
    """Read the settings from the environment and, if given, a TOML file.

    Raises:
        SettingsError: Anything is unknown, malformed or contradictory; says which, and never quotes
            a value, which could be a secret.
    """
    in_file = read_toml(config) if config is not None else {}
    try:
        return Settings(**in_file)
    except SourceError:
        raise SettingsError(
            where=f"{ENVIRONMENT_PREFIX}<SECTION>",
            what="a variable for a whole section holds something else than a JSON object",
            next_step=f"Use one variable for each field: {ENVIRONMENT_PREFIX}<SECTION>__<FIELD>.",
        ) from None
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        first = problems[0]
        name = name_for_people(ENVIRONMENT_PREFIX, first["loc"], in_file, config)
        rest = f" ({len(problems) - 1} more after this one)" if len(problems) > 1 else ""
        raise SettingsError(
            where=name,
            what=in_words(first) + rest,
            next_step="See `streamer config --template` for every setting and its form.",
        ) from None
