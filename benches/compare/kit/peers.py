"""The proxies that are compared, and the fake Zoho behind them."""

import itertools
from dataclasses import dataclass, field

from kit.processes import BIN, LOAD_CPU, OUT, PROXY_CPU, ROOT, bk, start, stop

TOKEN = "TESTTOKEN"
CA = ROOT / "tls/ca.pem"

# What distinguishes the fake Zohos: their options for `bk sim`.
_TLS = ["--cert", ROOT / "tls/leaf.pem", "--key", ROOT / "tls/leaf.key"]
UPSTREAMS = {
    "plain": [],
    "tls": _TLS,
    "1ms": ["--delay-us", 1000],
    "20ms": ["--delay-us", 20000],
    "100ms": ["--delay-us", 100000],
    "2s-tokens": ["--expires-in", 2],
}

_ENVOY_TLS = """transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context:
          validation_context:
            trusted_ca: { filename: "@ca@" }
            match_typed_subject_alt_names: [ { san_type: DNS, matcher: { exact: localhost } } ]"""


@dataclass
class Upstream:
    """A fake Zoho that runs."""

    name: str
    port: int
    process: object

    @property
    def is_tls(self):
        return self.name == "tls"

    @property
    def scheme(self):
        return "https" if self.is_tls else "http"

    @property
    def host(self):
        return "localhost" if self.is_tls else "127.0.0.1"

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"


_ports = itertools.count(18100)
OTLP_PORT = next(_ports)


def start_upstream(name, cpu=LOAD_CPU):
    port = next(_ports)
    command = [BIN / "bk", "sim", "--listen", f"127.0.0.1:{port}", "--token", TOKEN, *UPSTREAMS[name]]
    return Upstream(name, port, start(command, cpu=cpu, port=port))


def start_otlp(cpu=LOAD_CPU):
    return start([BIN / "bk", "otlp", "--listen", f"127.0.0.1:{OTLP_PORT}"], cpu=cpu, port=OTLP_PORT)


@dataclass
class Site:
    """Where a peer runs, and in front of what."""

    name: str
    upstream: Upstream
    workers: int = 1
    # One process, for tools that watch one.
    alone: bool = False
    port: int = field(default_factory=lambda: next(_ports))
    admin_port: int = field(default_factory=lambda: next(_ports))

    @property
    def dir(self):
        path = OUT / "run" / f"{self.name}-{self.upstream.name}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self):
        """How the peers that are programs of the kit are told."""
        variables = {
            "LISTEN": self.address,
            "UPSTREAM": self.upstream.url,
            "TOKEN": TOKEN,
            "WORKERS": str(self.workers),
        }
        return variables | ({"CA_FILE": str(CA)} if self.upstream.is_tls else {})

    def render(self, name, tls=""):
        """Fills in a configuration."""
        values = {
            "tls": tls if self.upstream.is_tls else "",
            "ca": CA,
            "dir": self.dir,
            "host": self.upstream.host,
            "master": "off" if self.alone else "on",
            "port": self.port,
            "scheme": self.upstream.scheme,
            "token": TOKEN,
            "upstream_port": self.upstream.port,
            "workers": self.workers,
        }
        text = (ROOT / "conf" / name).read_text()
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        path = self.dir / name
        path.write_text(text)
        return path


def _nginx(site):
    return ["/usr/sbin/nginx", "-c", site.render("nginx.conf"), "-e", "/dev/null"], {}


def _haproxy(site):
    tls = "ssl verify required ca-file @ca@ sni str(localhost)"
    return ["/usr/sbin/haproxy", "-db", "-q", "-f", site.render("haproxy.cfg", tls)], {}


def _envoy(site):
    binary = next((ROOT / "venv").glob("lib/python3*/site-packages/envoy/_bin/envoy"))
    options = ["--concurrency", site.workers, "--disable-hot-restart", "-l", "off"]
    return [binary, "-c", site.render("envoy.yaml", _ENVOY_TLS), *options], {}


def _pingora(site):
    return [BIN / "pingora-peer"], site.environment


def _naive(site):
    return [BIN / "naive"], site.environment | {"TOKIO_WORKER_THREADS": str(site.workers)}


def _ours(site):
    """The defaults, but for the number of calls in flight: the peers have no such limit."""
    ca_file = f'ca_file = "{CA}"' if site.upstream.is_tls else ""
    # Tokens that live 2 s instead of an hour, and a window that shrinks as much.
    window = 'budget_window = "333ms"' if site.upstream.name == "2s-tokens" else ""
    path = site.dir / "config.toml"
    path.write_text(
        f"""[server]
listen = "{site.address}"
threads = {site.workers}
[admin]
listen = "127.0.0.1:{site.admin_port}"
[upstream]
max_in_flight = 2000
{ca_file}
[token]
{window}
[accounts.main]
data_center = "us"
client_id = "1000.BENCH"
client_secret = "secret"
refresh_token = "refresh"
accounts_url = "{site.upstream.url}"
api_url = "{site.upstream.url}"
"""
    )
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{OTLP_PORT}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    return [BIN / "bigin-photo-proxy", "serve", "--config", path], environment


PEERS = {
    "ours": _ours,
    "nginx": _nginx,
    "haproxy": _haproxy,
    "envoy": _envoy,
    "pingora": _pingora,
    "naive": _naive,
}


@dataclass
class Running:
    """Something that can be asked: a proxy, or the fake Zoho itself under the name `direct`."""

    name: str
    site: Site
    process: object
    direct: bool = False

    @property
    def ask(self):
        """The options with which bk asks it."""
        if self.direct:
            return ["--addr", f"127.0.0.1:{self.site.upstream.port}", "--auth", TOKEN]
        return ["--addr", self.site.address]

    def stop(self, **options):
        if not self.direct:
            stop(self.process, **options)


def direct(upstream):
    return Running("direct", Site("direct", upstream), upstream.process, direct=True)


def command_of(site):
    """The command line of the site's peer, its environment, and the file for its log."""
    command, environment = PEERS[site.name](site)
    return [str(word) for word in command], environment, site.dir / "log"


def start_peer(name, upstream, workers=1, cpu=PROXY_CPU, alone=False, wrapper=()):
    site = Site(name, upstream, workers, alone)
    command, environment, log = command_of(site)
    process = start([*wrapper, *command], environment, cpu, log, site.port)
    running = Running(name, site, process)
    # Its first token and its first connection belong to no measurement.
    bk("ready", *running.ask, cpu=None)
    return running
