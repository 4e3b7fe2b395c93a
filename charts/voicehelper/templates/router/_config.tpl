{{/* RouterSettings: of the process that tells Envoy its routes. */}}
{{- define "voicehelper.router.config" -}}
{{- $own := dict
  "resources" "kubernetes"
  "xds_socket" "/run/voicehelper/xds.sock"
  "admin_socket" "/run/voicehelper/admin.sock"
  "http_host" "0.0.0.0"
  "http_port" 8081
  "snapshot_file" "/var/lib/voicehelper/snapshot.json"
  "jwks_file" "/var/lib/voicehelper/jwks.json"
  "jwks_source_url" (include "voicehelper.jwksUrl" .)
-}}
{{- include "voicehelper.json" (list . ($own | toYaml) .Values.router.xds.settings) -}}
{{- end }}

{{/* BootstrapSettings: of Envoy. The kubelet puts the pod's name in. */}}
{{- define "voicehelper.router.bootstrap" -}}
{{- $otlp := .Values.monitoring.otlp -}}
{{- $own := dict
  "listen_host" "0.0.0.0"
  "listen_port" 8080
  "admin_socket" "/run/voicehelper/admin.sock"
  "xds_socket" "/run/voicehelper/xds.sock"
  "jwks_port" 8081
  "identity_host" (include "voicehelper.host" (list . "identity"))
  "identity_port" 8080
  "concurrency" (int .Values.router.concurrency)
  "node_id" "$(POD_NAME)"
-}}
{{- if $otlp.host }}
{{- $_ := set $own "otlp_host" $otlp.host -}}
{{- $_ := set $own "otlp_port" (int $otlp.port) -}}
{{- end }}
{{- $own | toJson -}}
{{- end }}
