{{/* ControlPlaneSettings. */}}
{{- define "voicehelper.identity.config" -}}
{{- $own := dict
  "resources" "kubernetes"
  "http_host" "0.0.0.0"
  "http_port" 8080
  "grpc_host" "0.0.0.0"
  "grpc_port" 9090
  "signing_key_file" "/etc/voicehelper/secrets/signing-key.json"
  "operator_url" (printf "http://%s:8080" (include "voicehelper.host" (list . "operator")))
  "public_url" (.Values.publicUrl | default (include "voicehelper.routerUrl" .))
-}}
{{- include "voicehelper.json" (list . ($own | toYaml) .Values.identity.settings) -}}
{{- end }}
