{{/* AnalyticsSettings. */}}
{{- define "voicehelper.analytics.config" -}}
{{- $own := dict
  "kafka_bootstrap" .Values.stores.kafka.bootstrap
  "kafka_user" "analytics"
  "clickhouse_path" "/var/lib/voicehelper/clickhouse"
  "http_host" "0.0.0.0"
  "http_port" 8080
  "grpc_host" "0.0.0.0"
  "grpc_port" 9090
  "jwks_url" (include "voicehelper.jwksUrl" .)
  "jwks_cache_file" "/var/lib/voicehelper/jwks.json"
-}}
{{- include "voicehelper.json" (list . ($own | toYaml) .Values.analytics.settings) -}}
{{- end }}
