"""What Alertmanager's receivers may say: the fields of every integration, what each must have, and since when."""

from collections.abc import Mapping
from dataclasses import dataclass

from ray_tui.analysis.strict_yaml import Fields, Value


@dataclass(frozen=True)
class Integration:
    """One way in which a receiver reaches someone. ``target`` says where without a secret ("#ops", an address…)."""

    kind: str
    target: str
    sends_resolved: bool
    line: int


@dataclass(frozen=True)
class Receiver:
    """A named set of integrations; one without any reaches nobody."""

    name: str
    integrations: tuple[Integration, ...]
    line: int

    @property
    def reaches_nobody(self) -> bool:
        return not self.integrations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FIELDS: Mapping[str, frozenset[str]] = {
    "discord": _words("webhook_url webhook_url_file content title message username avatar_url"),
    "email": _words(
        "to from hello smarthost auth_username auth_password auth_password_file auth_secret auth_secret_file "
        "auth_identity headers html text require_tls tls_config force_implicit_tls threading"
    ),
    "incidentio": _words("url url_file alert_source_token alert_source_token_file max_alerts timeout metadata"),
    "jira": _words(
        "api_url api_type project summary description labels priority issue_type reopen_transition resolve_transition "
        "wont_fix_resolution reopen_duration fields"
    ),
    "mattermost": _words(
        "webhook_url webhook_url_file channel username text fallback color pretext author_name author_link author_icon "
        "title title_link fields thumb_url footer footer_icon image_url icon_url icon_emoji attachments type props "
        "priority"
    ),
    "msteams": _words("webhook_url webhook_url_file title summary text"),
    "msteamsv2": _words("webhook_url webhook_url_file title text"),
    "opsgenie": _words(
        "api_key api_key_file api_url message description source details entity responders actions tags note priority "
        "update_alerts"
    ),
    "pagerduty": _words(
        "service_key service_key_file routing_key routing_key_file url client client_url description details images "
        "links source severity class component group timeout"
    ),
    "pushover": _words(
        "user_key user_key_file token token_file title message url url_title device sound priority retry expire ttl "
        "html monospace"
    ),
    "rocketchat": _words(
        "api_url channel color text title title_link emoji icon_url token token_file token_id token_id_file actions "
        "fields short_fields image_url thumb_url link_names"
    ),
    "slack": _words(
        "api_url api_url_file app_token app_token_file app_url channel username color title title_link pretext text "
        "message_text fields short_fields footer fallback callback_id icon_emoji icon_url image_url thumb_url "
        "link_names mrkdwn_in actions timeout update_message"
    ),
    "sns": _words("api_url sigv4 topic_arn phone_number target_arn subject message attributes"),
    "telegram": _words(
        "api_url bot_token bot_token_file chat_id chat_id_file message_thread_id message "
        "disable_notifications parse_mode"
    ),
    "victorops": _words(
        "api_key api_key_file api_url routing_key message_type state_message entity_display_name monitoring_tool "
        "custom_fields"
    ),
    "webex": _words("api_url message room_id"),
    "webhook": _words("url url_file max_alerts timeout payload"),
    "wechat": _words(
        "api_secret api_secret_file corp_id message api_url to_user to_party to_tag agent_id message_type"
    ),
}
COMMON_FIELDS = frozenset({"send_resolved", "http_config"})

GLOBAL_FIELDS = _words(
    "resolve_timeout http_config jira_api_url smtp_from smtp_hello smtp_smarthost smtp_auth_username "
    "smtp_auth_password smtp_auth_password_file smtp_auth_secret smtp_auth_secret_file smtp_auth_identity "
    "smtp_require_tls smtp_tls_config "
    "smtp_force_implicit_tls slack_api_url slack_api_url_file slack_app_token slack_app_token_file slack_app_url "
    "pagerduty_url opsgenie_api_url opsgenie_api_key opsgenie_api_key_file wechat_api_url wechat_api_secret "
    "wechat_api_secret_file wechat_api_corp_id victorops_api_url victorops_api_key victorops_api_key_file "
    "telegram_api_url telegram_bot_token telegram_bot_token_file webex_api_url rocketchat_api_url rocketchat_token "
    "rocketchat_token_file rocketchat_token_id rocketchat_token_id_file mattermost_webhook_url "
    "mattermost_webhook_url_file"
)

SLACK_APP_URL = "https://slack.com/api/chat.postMessage"

_SINCE: Mapping[str, str] = {
    # Read from Alertmanager's changelog; where a field has no row it is in 0.25 already, or its version isn't known.
    "msteams_configs": "0.26",
    "msteamsv2_configs": "0.28",
    "jira_configs": "0.28",
    "rocketchat_configs": "0.28",
    "incidentio_configs": "0.29",
    "mattermost_configs": "0.30",
    "telegram_configs.bot_token_file": "0.26",
    "telegram_configs.message_thread_id": "0.27",
    "telegram_configs.chat_id_file": "0.31",
    "discord_configs.webhook_url_file": "0.28",
    "discord_configs.username": "0.28",
    "discord_configs.avatar_url": "0.28",
    "discord_configs.content": "0.28",
    "webhook_configs.url_file": "0.26",
    "webhook_configs.timeout": "0.28",
    "webhook_configs.payload": "0.31",
    "pagerduty_configs.source": "0.26",
    "pagerduty_configs.service_key_file": "0.25",
    "pagerduty_configs.timeout": "0.30",
    "slack_configs.timeout": "0.30",
    "slack_configs.app_token": "0.30",
    "slack_configs.app_token_file": "0.30",
    "slack_configs.app_url": "0.30",
    "slack_configs.update_message": "0.32",
    "slack_configs.message_text": "0.30",
    "email_configs.threading": "0.30",
    "email_configs.auth_secret_file": "0.30",
    "email_configs.force_implicit_tls": "0.30",
    "pushover_configs.ttl": "0.27",
    "pushover_configs.device": "0.26",
    "pushover_configs.monospace": "0.29",
    "wechat_configs.api_secret_file": "0.31",
    "global.slack_app_token": "0.30",
    "global.slack_app_token_file": "0.30",
    "global.slack_app_url": "0.30",
    "global.telegram_bot_token": "0.31",
    "global.telegram_bot_token_file": "0.31",
    "global.mattermost_webhook_url": "0.30",
    "global.mattermost_webhook_url_file": "0.30",
    "global.rocketchat_api_url": "0.28",
    "global.rocketchat_token": "0.28",
    "global.rocketchat_token_file": "0.28",
    "global.rocketchat_token_id": "0.28",
    "global.rocketchat_token_id_file": "0.28",
    "global.jira_api_url": "0.28",
    "global.wechat_api_secret_file": "0.31",
    "global.smtp_auth_secret_file": "0.30",
    "global.smtp_force_implicit_tls": "0.30",
    "tracing": "0.30",
}


def since(field: str) -> str | None:
    """The first Alertmanager that knows a field (``webhook_configs.timeout``), None for "0.25 or not known"."""
    return _SINCE.get(field)


def set_fields(found: Fields) -> frozenset[str]:
    """Names of the fields that say something: neither nothing nor the empty text."""
    return frozenset(key for key, value in found.items() if value is not None and value != "")


def pair_problem(found: Fields, prefix: str = "") -> str | None:
    """Alertmanager's complaint where a value and its file are both given."""
    given = set_fields(found)
    for name in sorted(given):
        if name.startswith(prefix) and f"{name}_file" in given:
            return f"at most one of {name} & {name}_file must be configured"
    return None


def global_problem(found: Fields) -> str | None:
    """What Alertmanager refuses in ``global``."""
    problem = pair_problem(found)
    if problem:
        return problem
    given = set_fields(found)
    if given & {"slack_app_token", "slack_app_token_file"} and given & {"slack_api_url", "slack_api_url_file"}:
        app_url = found.get("slack_app_url") or SLACK_APP_URL
        if found.get("slack_api_url") != app_url:  # an API URL that is the app's own is the old way to give a bot token
            return (
                "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file "
                "must be configured"
            )
    return None


_ONE_OF: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "discord": ((("webhook_url", "webhook_url_file"), "one of webhook_url or webhook_url_file must be configured"),),
    "email": ((("to",), "missing to address in email config"),),
    "incidentio": ((("url", "url_file"), "one of url or url_file must be configured"),),
    "jira": (
        (("project",), "missing project in jira_config"),
        (("issue_type",), "missing issue_type in jira_config"),
    ),
    "msteams": ((("webhook_url", "webhook_url_file"), "one of webhook_url or webhook_url_file must be configured"),),
    "msteamsv2": ((("webhook_url", "webhook_url_file"), "one of webhook_url or webhook_url_file must be configured"),),
    "pagerduty": (
        (
            ("routing_key", "routing_key_file", "service_key", "service_key_file"),
            "missing service or routing key in PagerDuty config",
        ),
    ),
    "pushover": (
        (("user_key", "user_key_file"), "one of user_key or user_key_file must be configured"),
        (("token", "token_file"), "one of token or token_file must be configured"),
    ),
    "sns": (
        (
            ("target_arn", "topic_arn", "phone_number"),
            "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config",
        ),
    ),
    "telegram": ((("chat_id", "chat_id_file"), "missing chat_id on telegram_config"),),
    "victorops": ((("routing_key",), "missing Routing key in VictorOps config"),),
    "webex": ((("room_id",), "missing room_id on webex_config"),),
    "webhook": ((("url", "url_file"), "one of url or url_file must be configured"),),
}

_OWN_OR_GLOBAL: Mapping[str, tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...]] = {
    # (fields of the integration, fields of global, complaint where neither is given)
    "email": (
        (("smarthost",), ("smtp_smarthost",), "no global SMTP smarthost set"),
        (("from",), ("smtp_from",), "no global SMTP from set"),
    ),
    "jira": ((("api_url",), ("jira_api_url",), "no global Jira Cloud URL set"),),
    "mattermost": (
        (
            ("webhook_url", "webhook_url_file"),
            ("mattermost_webhook_url", "mattermost_webhook_url_file"),
            "no global Mattermost Webhook URL set either inline or in a file",
        ),
    ),
    "opsgenie": (
        (
            ("api_key", "api_key_file"),
            ("opsgenie_api_key", "opsgenie_api_key_file"),
            "no global OpsGenie API Key set either inline or in a file",
        ),
    ),
    "rocketchat": (
        (
            ("token", "token_file"),
            ("rocketchat_token", "rocketchat_token_file"),
            "no global Rocketchat Token set either inline or in a file",
        ),
        (
            ("token_id", "token_id_file"),
            ("rocketchat_token_id", "rocketchat_token_id_file"),
            "no global Rocketchat TokenID set either inline or in a file",
        ),
    ),
    "slack": (
        (
            ("api_url", "api_url_file", "app_token", "app_token_file"),
            ("slack_api_url", "slack_api_url_file", "slack_app_token", "slack_app_token_file"),
            "no global Slack API URL set either inline or in a file",
        ),
    ),
    "telegram": (
        (
            ("bot_token", "bot_token_file"),
            ("telegram_bot_token", "telegram_bot_token_file"),
            "missing bot_token or bot_token_file on telegram_config",
        ),
    ),
    "victorops": (
        (
            ("api_key", "api_key_file"),
            ("victorops_api_key", "victorops_api_key_file"),
            "no global VictorOps API Key set",
        ),
    ),
    "wechat": (
        (
            ("api_secret", "api_secret_file"),
            ("wechat_api_secret", "wechat_api_secret_file"),
            "no global Wechat Api Secret set either inline or in a file",
        ),
        (("corp_id",), ("wechat_api_corp_id",), "no global Wechat CorpID set"),
    ),
}


def integration_problem(kind: str, found: Fields) -> str | None:
    """What Alertmanager refuses in one integration for itself."""
    problem = pair_problem(found)
    given = set_fields(found)
    if problem:
        return problem
    for names, complaint in _ONE_OF.get(kind, ()):
        if not given & set(names):
            return complaint
    if kind == "sns" and len(given & {"target_arn", "topic_arn", "phone_number"}) != 1:
        return "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config"
    if kind == "slack" and str(found.get("update_message")) == "true" and _uses_webhook(found):
        return f"update_message can only be used with bot tokens. api_url must be set to {SLACK_APP_URL}"
    return None


def missing_from_global(kind: str, found: Fields, global_fields: Fields) -> str | None:
    """What Alertmanager misses where neither the integration nor ``global`` says it."""
    given, globally = set_fields(found), set_fields(global_fields)
    for own, shared, complaint in _OWN_OR_GLOBAL.get(kind, ()):
        if not given & set(own) and not globally & set(shared):
            return complaint
    return None


def _uses_webhook(found: Fields) -> bool:
    return "api_url" in set_fields(found) and found["api_url"] != SLACK_APP_URL


_TARGETS: Mapping[str, tuple[str, ...]] = {
    "email": ("to",),
    "slack": ("channel",),
    "mattermost": ("channel",),
    "rocketchat": ("channel",),
    "webex": ("room_id",),
    "telegram": ("chat_id",),
    "jira": ("project",),
    "sns": ("topic_arn", "phone_number", "target_arn"),
}


def target_of(kind: str, found: Fields) -> str:
    """Where an integration sends, without anything secret: webhook URLs are secrets and stay out."""
    names: tuple[Value, ...] = tuple(found.get(name) for name in _TARGETS.get(kind, ()))
    return next((str(name) for name in names if name), kind)
