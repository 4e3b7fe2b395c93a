"""etcd, the API server, the controllers and the scheduler."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from voicehelper_cli.failures import Failure

from voicehelper_e2e.cluster.certificates import Authority, Subject
from voicehelper_e2e.cluster.daemons import Daemons
from voicehelper_e2e.cluster.home import API_SERVICE, NODE, POD_CIDR, SERVICE_CIDR, Home

_READY_SECONDS = 120
_AUDIT_LOG_MB = 2000  # an hour of tests writes 40; what looks for something in it wants it whole
_CLIENTS = {
    "admin": Subject("admin", "system:masters"),
    "controllers": Subject("system:kube-controller-manager"),
    "scheduler": Subject("system:kube-scheduler"),
    "proxy": Subject("system:kube-proxy"),
    "kubelet-client": Subject("kube-apiserver", "system:masters"),
    "aggregator": Subject("aggregator"),
}
_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, userGroups: ["system:serviceaccounts"]}
  - {level: None}
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API server listens; ``etcd`` is the first of two ports on loopback."""

    host: str
    port: int
    etcd: int = 2379

    @property
    def url(self) -> str:
        """For clients."""
        return f"https://{self.host}:{self.port}"


class ControlPlane:
    """Of a home; its processes are ``daemons``'."""

    def __init__(self, home: Home, daemons: Daemons, address: Address) -> None:
        self._home, self._daemons, self.address = home, daemons, address

    def prepare(self) -> None:
        """Keys, certificates and kubeconfigs, made once."""
        pki = self._home.pki
        if (pki / "complete").exists():
            return
        host = self.address.host
        authority = Authority(pki)
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        served = Subject("kube-apiserver", hosts=(*names, "localhost", "127.0.0.1", API_SERVICE, host))
        authority.issue("apiserver", served)
        authority.issue("kubelet", Subject(f"system:node:{NODE}", "system:nodes", hosts=(NODE, host)))
        for file, subject in _CLIENTS.items():
            authority.issue(file, subject)
        authority.key_pair("accounts")
        for file in (*_CLIENTS, "kubelet"):
            self._kubeconfig(pki / f"{file}.kubeconfig", file)
        self._kubeconfig(self._home.kubeconfig, "admin")
        (pki / "audit.yaml").write_text(_AUDIT_POLICY)
        (pki / "complete").touch()

    def start_api(self, kube: Path) -> None:
        """etcd and the API server, until it is ready."""
        port = self.address.etcd
        client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
        self._start(
            kube, "etcd", data_dir=self._home.root / "etcd", unsafe_no_fsync="true", log_level="warn",
            listen_client_urls=client, advertise_client_urls=client, listen_peer_urls=peer,
            initial_advertise_peer_urls=peer, initial_cluster=f"default={peer}",
        )  # fmt: skip
        self._start(
            kube, "kube-apiserver", etcd_servers=client, bind_address=self.address.host, secure_port=self.address.port,
            advertise_address=self.address.host, service_cluster_ip_range=SERVICE_CIDR, allow_privileged="true",
            endpoint_reconciler_type="none" if self.address.host.startswith("127.") else "master-count",
            tls_cert_file=self._pki("apiserver.crt"), tls_private_key_file=self._pki("apiserver.key"),
            client_ca_file=self._pki("ca.crt"), authorization_mode="Node,RBAC",
            enable_admission_plugins="NodeRestriction", kubelet_preferred_address_types="InternalIP",
            kubelet_certificate_authority=self._pki("ca.crt"),
            kubelet_client_certificate=self._pki("kubelet-client.crt"),
            kubelet_client_key=self._pki("kubelet-client.key"),
            service_account_issuer="https://kubernetes.default.svc.cluster.local",
            service_account_key_file=self._pki("accounts.pub"),
            service_account_signing_key_file=self._pki("accounts.key"),
            requestheader_client_ca_file=self._pki("ca.crt"), requestheader_allowed_names="aggregator",
            requestheader_extra_headers_prefix="X-Remote-Extra-", requestheader_group_headers="X-Remote-Group",
            requestheader_username_headers="X-Remote-User", proxy_client_cert_file=self._pki("aggregator.crt"),
            proxy_client_key_file=self._pki("aggregator.key"), audit_policy_file=self._pki("audit.yaml"),
            audit_log_path=self._home.logs / "audit.jsonl", audit_log_maxsize=_AUDIT_LOG_MB, v=1,
        )  # fmt: skip
        self._until_ready()

    def start_controllers(self, kube: Path, only: str = "*") -> None:
        """The controller manager; it ends when the API server is not ready yet. It serves nothing itself."""
        config = self._pki("controllers.kubeconfig")
        self._start(
            kube, "kube-controller-manager", kubeconfig=config, authentication_kubeconfig=config,
            authorization_kubeconfig=config, service_account_private_key_file=self._pki("accounts.key"),
            root_ca_file=self._pki("ca.crt"), use_service_account_credentials="true", leader_elect="false",
            cluster_signing_cert_file=self._pki("ca.crt"), cluster_signing_key_file=self._pki("ca.key"),
            controllers=only, kube_api_qps=200, kube_api_burst=400, secure_port=0,
            service_cluster_ip_range=SERVICE_CIDR, cluster_cidr=POD_CIDR,
        )  # fmt: skip

    def start_scheduler(self, kube: Path) -> None:
        """Pods get a node."""
        config = self._pki("scheduler.kubeconfig")
        self._start(
            kube, "kube-scheduler", kubeconfig=config, authentication_kubeconfig=config,
            authorization_kubeconfig=config, leader_elect="false", secure_port=0,
        )  # fmt: skip

    @property
    def pids(self) -> dict[str, int]:
        """Of those that keep the state, while they run."""
        found = {name: self._daemons.process(name) for name in ("kube-apiserver", "etcd")}
        return {name: process.pid for name, process in found.items() if process is not None}

    def stop(self) -> None:
        """The API server waits for etcd as long as etcd is away, so it ends first."""
        for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
            self._daemons.stop(name)

    def _pki(self, file: str) -> Path:
        return self._home.pki / file

    def _start(self, kube: Path, name: str, **flags: object) -> None:
        arguments = [f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items()]
        self._daemons.start(name, [str(kube), name, *arguments])

    def _until_ready(self) -> None:
        context = ssl.create_default_context(cafile=str(self._pki("ca.crt")))
        context.load_cert_chain(self._pki("admin.crt"), self._pki("admin.key"))
        end = time.monotonic() + _READY_SECONDS
        with httpx.Client(base_url=self.address.url, verify=context, trust_env=False, timeout=2) as client:
            while time.monotonic() < end:
                for name in ("etcd", "kube-apiserver"):
                    self._daemons.expect(name)
                try:
                    if client.get("/readyz").is_success:
                        return
                except httpx.HTTPError:
                    pass
                time.sleep(0.1)
        raise Failure(f"the API server is not ready after {_READY_SECONDS} s:\n{self._daemons.tail('kube-apiserver')}")

    def _kubeconfig(self, path: Path, user: str) -> None:
        path.touch(mode=0o600)
        path.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: voicehelper\n"
            f"clusters: [{{name: voicehelper, cluster: {{server: '{self.address.url}',"
            f" certificate-authority: '{self._pki('ca.crt')}'}}}}]\n"
            f"users: [{{name: {user}, user: {{client-certificate: '{self._pki(user + '.crt')}',"
            f" client-key: '{self._pki(user + '.key')}'}}}}]\n"
            f"contexts: [{{name: voicehelper, context: {{cluster: voicehelper, user: {user}}}}}]\n"
        )
