"""How Kafka's Java clients log in to the Kafka of a KafkaConnection: the workers', and those of connectors.

What is secret stands as an expression that the workers' own config provider replaces, and never as it is.
"""

from __future__ import annotations

from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, OAuth, Sasl
from headrace_operator.api.schema import Credentials

SECURITY = "org.apache.kafka.common.security"
PROVIDER = "10000"
"""Milliseconds that a provider of tokens may take, which Kafka's own clients would await for ever."""


def properties(namespace: str, kafka: KafkaConnectionSpec) -> dict[str, str]:
    """Return the properties of a client without its prefix; what is secret is read from Secrets of ``namespace``."""
    protocol = ("SASL_" if kafka.sasl else "") + ("SSL" if kafka.tls else "PLAINTEXT")
    found = {"security.protocol": protocol}
    if kafka.tls and (ca := kafka.tls.ca):
        authority = _reference(namespace, ca.secret, ca.key)
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": authority}
    if kafka.tls and (own := kafka.tls.certificate):
        certificate, key = (_reference(namespace, own.secret, one) for one in own.keys)
        found |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": certificate,
            "ssl.keystore.key": key,
        }
    if kafka.sasl:
        found |= {"sasl.mechanism": kafka.sasl.mechanism, "sasl.jaas.config": _jaas(namespace, kafka.sasl)}
    if kafka.sasl and kafka.sasl.oauth:
        found |= _tokens(namespace, kafka.sasl.credentials, kafka.sasl.oauth)
    return found


def _tokens(namespace: str, client: Credentials, oauth: OAuth) -> dict[str, str]:
    """Return how Kafka's own clients get their tokens (KIP-768, KIP-1139)."""
    own = "sasl.oauthbearer.client.credentials.client"
    user, password = (_reference(namespace, client.secret, key) for key in client.keys)
    scope = {"sasl.oauthbearer.scope": oauth.scope} if oauth.scope else {}
    return {
        "sasl.login.callback.handler.class": f"{SECURITY}.oauthbearer.OAuthBearerLoginCallbackHandler",
        "sasl.oauthbearer.token.endpoint.url": oauth.token_endpoint,
        f"{own}.id": user,
        f"{own}.secret": password,
        "sasl.login.connect.timeout.ms": PROVIDER,
        "sasl.login.read.timeout.ms": PROVIDER,
        **scope,
    }


def _jaas(namespace: str, sasl: Sasl) -> str:
    if sasl.oauth:
        return f"{SECURITY}.oauthbearer.OAuthBearerLoginModule required{_provider(namespace, sasl.oauth)};"
    module = "plain.Plain" if sasl.mechanism == "PLAIN" else "scram.Scram"
    credentials = sasl.credentials
    user, password = (_reference(namespace, credentials.secret, key, "quoted") for key in credentials.keys)
    return f'{SECURITY}.{module}LoginModule required username="{user}" password="{password}";'


def _provider(namespace: str, oauth: OAuth) -> str:
    """Return the options of a login by which the provider of tokens is known."""
    if oauth.ca is None:
        return ""
    authority = _reference(namespace, oauth.ca.secret, oauth.ca.key, "quoted")
    return f' ssl.truststore.type="PEM" ssl.truststore.certificates="{authority}"'


def _reference(namespace: str, secret: str, key: str, provider: str = "secrets") -> str:
    return f"${{{provider}:{namespace}/{secret}:{key}}}"
