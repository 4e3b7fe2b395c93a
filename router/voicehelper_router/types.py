"""Type URLs of the messages of Envoy's API that this router uses."""

from __future__ import annotations

_GOOGLE = "type.googleapis.com/"
_EXTENSIONS = f"{_GOOGLE}envoy.extensions."

CLUSTER = f"{_GOOGLE}envoy.config.cluster.v3.Cluster"
ROUTES = f"{_GOOGLE}envoy.config.route.v3.RouteConfiguration"
SCOPE = f"{_GOOGLE}envoy.config.route.v3.ScopedRouteConfiguration"

CONNECTION_MANAGER = f"{_EXTENSIONS}filters.network.http_connection_manager.v3.HttpConnectionManager"
EARLY_HEADER_MUTATION = f"{_EXTENSIONS}http.early_header_mutation.header_mutation.v3.HeaderMutation"
HTTP_OPTIONS = f"{_EXTENSIONS}upstreams.http.v3.HttpProtocolOptions"
EXT_AUTHZ = f"{_EXTENSIONS}filters.http.ext_authz.v3.ExtAuthz"
EXT_AUTHZ_PER_ROUTE = f"{_EXTENSIONS}filters.http.ext_authz.v3.ExtAuthzPerRoute"
FILTER_CONFIG = f"{_GOOGLE}envoy.config.route.v3.FilterConfig"
JWT = f"{_EXTENSIONS}filters.http.jwt_authn.v3.JwtAuthentication"
RBAC = f"{_EXTENSIONS}filters.http.rbac.v3.RBAC"
ROUTER = f"{_EXTENSIONS}filters.http.router.v3.Router"
CEL_FILTER = f"{_EXTENSIONS}access_loggers.filters.cel.v3.ExpressionFilter"
STDOUT_LOG = f"{_EXTENSIONS}access_loggers.stream.v3.StdoutAccessLog"
LUA = f"{_EXTENSIONS}filters.http.lua.v3.Lua"
WITH_MATCHER = f"{_EXTENSIONS}common.matching.v3.ExtensionWithMatcher"
SKIP_FILTER = f"{_EXTENSIONS}filters.common.matcher.action.v3.SkipFilter"
HEADER_INPUT = f"{_GOOGLE}envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
OPENTELEMETRY = f"{_GOOGLE}envoy.config.trace.v3.OpenTelemetryConfig"
REQUEST_ID = f"{_EXTENSIONS}request_id.uuid.v3.UuidRequestIdConfig"
