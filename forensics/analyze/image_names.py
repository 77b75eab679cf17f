"""Names that pass for a well-known image's: one slip of the finger away, or letters that only look the same. Pure.

Only what would be fetched from Docker Hub or a public registry is judged; a registry of one's own may name its images
as it likes.
"""

from __future__ import annotations

import unicodedata

_OFFICIAL = frozenset(
    """adminer aerospike alpine almalinux amazonlinux arangodb archlinux bash busybox caddy cassandra centos chronograf
    clickhouse clojure composer consul couchbase couchdb debian docker drupal eclipse-temurin elasticsearch elixir
    erlang fedora fluentd friendica golang gradle haproxy haskell hello-world httpd influxdb
    jenkins jetty joomla jruby julia kapacitor kibana kong logstash mageia mariadb matomo maven mediawiki memcached
    mongo mongo-express monica mysql nats neo4j nextcloud nginx node odoo openjdk opensuse oraclelinux percona perl
     php phpmyadmin postfixadmin postgres python rabbitmq rakudo-star redis redmine registry rethinkdb rocketchat
    rockylinux ruby rust satosa solr sonarqube telegraf tomcat tomee traefik ubuntu varnish vault
    wordpress xwiki yourls znc zookeeper""".split()  # noqa: SIM905 - a table of words
)
_OWNERS = frozenset(
    """amazon apache bitnami cloudflare confluentinc curlimages datadog docker elastic fluent gitea gitlab grafana
    hashicorp istio jenkins jupyter keycloak kubernetes linkerd linuxserver mcr microsoft minio mongodb mysql nvidia
    openpolicyagent opensearchproject portainer prom prometheus pytorch rancher redhat redis selenium sonatype
    tensorflow traefik ubuntu vaultwarden""".split()  # noqa: SIM905 - a table of words
)
_HOSTS = frozenset(
    """docker.io gcr.io ghcr.io mcr.microsoft.com public.ecr.aws quay.io registry.access.redhat.com registry.gitlab.com
    registry.k8s.io""".split()  # noqa: SIM905 - a table of words
)
_HUB = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
_LEAST = 5
_ALIKE = str.maketrans(
    "01357|!аеоісрухѕԁɡոαοιτνгкмнвтеіјӏ",
    "olestliaeoicpyxsdgnaoitvrkmhbteijl",
)
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))


def find_imitated(reference: str) -> str:
    """Return the well-known name that *reference* (``[host/]path[:tag][@digest]``) imitates, empty for none."""
    host, path = _split(reference)
    if host and host not in _HUB | _HOSTS:
        return _nearest(host, _HOSTS)
    if host not in _HUB:
        return ""
    owner, _, name = path.rpartition("/")
    if owner in {"", "library"}:
        return _nearest(name, _OFFICIAL)
    return _nearest(owner, _OWNERS) if "/" not in owner else ""


def _split(reference: str) -> tuple[str, str]:
    name = reference.partition("@")[0]
    head, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    host, path = (head.partition(":")[0], rest) if is_host else ("", name)
    return host.lower(), path.partition(":")[0].lower()


def _nearest(name: str, known: frozenset[str]) -> str:
    if not name or name in known:
        return ""
    plain = _fold(name)
    if plain in known and not _is_numbered(name, plain):
        return plain
    if len(name) < _LEAST:
        return ""
    return min((other for other in known if len(other) >= _LEAST and _is_slip(plain, other)), default="")


def _fold(name: str) -> str:
    """Return *name* with letters that only look like others replaced by those."""
    folded = unicodedata.normalize("NFKD", name)
    folded = "".join(letter for letter in folded if not unicodedata.combining(letter)).translate(_ALIKE)
    for pair, letter in _PAIRS:
        if pair in folded and folded.replace(pair, letter) in _OFFICIAL | _OWNERS | _HOSTS:
            folded = folded.replace(pair, letter)
    return folded


def _is_numbered(name: str, plain: str) -> bool:
    """Whether it is a known name with a release's number behind it, as in python3."""
    return name.rstrip("0123456789.-") == plain.rstrip("0123456789.-") and name != plain


def _is_slip(name: str, known: str) -> bool:
    """Whether one letter was dropped, put in, exchanged or swapped with the next; additions at the ends are names."""
    if len(name) == len(known):
        places = [place for place, pair in enumerate(zip(name, known, strict=True)) if pair[0] != pair[1]]
        if len(places) == 1:
            return name[places[0]].isalpha()
        swapped = len(places) == 2 and places[1] == places[0] + 1  # noqa: PLR2004 - two neighbours
        return swapped and name[places[0]] == known[places[1]] and name[places[1]] == known[places[0]]
    if len(name) == len(known) - 1:
        return any(known[:place] + known[place + 1 :] == name for place in range(len(known)))
    if len(name) == len(known) + 1:
        inner = range(1, len(name) - 1)
        return any(name[:place] + name[place + 1 :] == known and name[place].isalpha() for place in inner) or (
            name[-1] == name[-2] and name[:-1] == known
        )
    return False
